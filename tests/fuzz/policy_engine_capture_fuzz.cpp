// A recording comes from other people's disks: whatever it holds is read or refused, and nothing else.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "contract/schema.hpp"
#include "policy-engine/simulation/capture.hpp"

namespace {

using namespace policy_engine::simulation;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(const Recording& recording) {
    require(!recording.seconds.empty());
    for (const auto& second : recording.seconds) {
        require(std::isfinite(second.pv_w) && std::isfinite(second.load_w));
    }
    for (const auto& [id, charger] : recording.chargers) {
        require(contract::is_valid_id(id) && std::isfinite(charger.drawn_kwh));
        std::size_t last = 0;
        for (const auto& span : charger.plugged) {
            require(span.begin >= last && span.begin < span.end && span.end <= recording.seconds.size());
            last = span.end;
        }
    }
    for (const auto& [alias, vehicle] : recording.vehicles) {
        for (std::size_t i = 1; i < vehicle.soc_pct.size(); ++i) {
            require(vehicle.soc_pct[i - 1].first < vehicle.soc_pct[i].first);
        }
    }
    for (std::size_t i = 0; i < recording.tariff.size(); ++i) {
        require(recording.tariff[i].start < recording.tariff[i].end);
        require(i == 0 || recording.tariff[i - 1].end <= recording.tariff[i].start);
    }
    require(recording.problems.size() <= recording.skipped_lines);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream text(std::string(reinterpret_cast<const char*>(data), size));
    try {
        check(read_capture(text, "fuzz", {}));
    } catch (const std::runtime_error& error) {  // being refused is an expected outcome
        require(contract::valid_utf8(error.what()) == error.what());
    }
    return 0;
}
