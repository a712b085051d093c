#include <chrono>
#include <cstdlib>

#include "twc-bus/bus_master.hpp"
#include "twc-bus/transmit_filter.hpp"

namespace {

using namespace std::chrono_literals;

constexpr int max_ca = 3200;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

}  // namespace

// Any frame bodies heard by a running master: messages survive a round trip, and what the master then sends is always
// allowed to leave. Each input byte string is a list of bodies, each led by its length.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    scheduling::Instant now{};
    twc_bus::BusMaster master({.limits = {.wiring_ca = max_ca, .charger_max_ca = max_ca}},
                              {{.id = 0x7744, .protocol = 2, .granted_ca = 1600}}, now);
    master.on_link(true, now);
    std::span rest(data, size);
    while (!rest.empty()) {
        constexpr std::size_t longest_body = 19;
        const std::size_t length = std::min<std::size_t>(rest[0] % (longest_body + 1), rest.size() - 1);
        const auto body = rest.subspan(1, length);
        rest = rest.subspan(1 + length);
        if (const auto message = twc_bus::decode_message(body)) {
            require(twc_bus::decode_message(twc_bus::encode_message(*message)) == message);
        }
        master.on_activity(now);
        master.on_body(body, now);
        std::map<twc_bus::UnitId, int> wishes;
        for (const auto& [id, charger] : master.chargers()) {
            wishes[id] = static_cast<int>(length) * 200 % (max_ca + 1);
        }
        master.set_wishes(wishes);
        for (auto step = master.next(now); step.body; step = master.next(now)) {
            require(!twc_bus::refusal_to_send(*step.body, max_ca));
        }
        now += 150ms;
    }
    return 0;
}
