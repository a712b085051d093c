#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "contract/messages.hpp"
#include "messaging/message_bus.hpp"

namespace {

// Refused with words that can be published, or understood and the same after another round.
template <class Message>
void check(std::string_view text) {
    try {
        const auto message = contract::from_text<Message>(text);
        const auto sent = contract::to_json(message).dump();
        if (contract::to_json(contract::from_text<Message>(sent)).dump() != sent) {
            std::abort();
        }
    } catch (const contract::Invalid& error) {
        if (contract::valid_utf8(error.what()) != error.what()) {
            std::abort();
        }
    }
}

using Check = void (*)(std::string_view);

void check_words(std::string_view text) {
    if (messaging::is_valid_topic(text) && !messaging::matches(text, text) && text.front() != '$') {
        std::abort();
    }
    const auto time = contract::parse_timestamp(text);
    if (time && contract::parse_timestamp(contract::format_timestamp(*time)) != time) {
        std::abort();
    }
}

constexpr Check checks[] = {&check<contract::ServiceInfo>,
                            &check<contract::LimitSet>,
                            &check<contract::BusState>,
                            &check<contract::ChargerState>,
                            &check<contract::SitePower>,
                            &check<contract::SourceState>,
                            &check<contract::VehicleState>,
                            &check<contract::PolicyState>,
                            &check<contract::PolicyChargerState>,
                            &check<contract::OverrideState>,
                            &check_words};

}  // namespace

// The first byte chooses what the rest is to be.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 0) {
        const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
        checks[data[0] % std::size(checks)](text);
    }
    return 0;
}
