#include <chrono>
#include <cstdlib>

#include "twc-bus/fleet.hpp"
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
    const twc_bus::Limits limits{.wiring_ca = max_ca, .charger_max_ca = max_ca};
    const twc_bus::Care care{.treatments = {{0x7744, {.stop = twc_bus::StopMeans::contactor}},
                                            {0x7745, {.stop = twc_bus::StopMeans::silence}}}};
    const twc_bus::TransmitRules rules{.limits = limits, .contactor_commands = {0x7744}};
    twc_bus::Fleet fleet(limits, {{.known = {{.id = 0x7744, .protocol = 2, .granted_ca = 1600}}}}, now, care);
    fleet.on_link(0, true, now);
    std::span rest(data, size);
    while (!rest.empty()) {
        constexpr std::size_t longest_body = 19;
        const std::size_t length = std::min<std::size_t>(rest[0] % (longest_body + 1), rest.size() - 1);
        const auto body = rest.subspan(1, length);
        rest = rest.subspan(1 + length);
        if (const auto message = twc_bus::decode_message(body)) {
            require(twc_bus::decode_message(twc_bus::encode_message(*message)) == message);
        }
        fleet.on_activity(0, now);
        fleet.on_body(0, body, now);
        std::map<twc_bus::UnitId, int> wishes;
        for (const auto* charger : fleet.chargers()) {
            wishes[charger->id] = static_cast<int>(length) * 200 % (max_ca + 1);
        }
        fleet.set_wishes(wishes);
        for (auto step = fleet.next(0, now); step.body; step = fleet.next(0, now)) {
            require(!twc_bus::refusal_to_send(*step.body, rules));
        }
        now += 150ms;
    }
    return 0;
}
