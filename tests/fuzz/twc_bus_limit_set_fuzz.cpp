#include <cstdlib>
#include <string_view>

#include "service/service_host.hpp"
#include "twc-bus/lease.hpp"

// Any payload of bus/limit/set: it is refused with words or gives a lease of bounded length with currents in range.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    twc_bus::Lease lease;
    try {
        const auto limits = contract::from_text<contract::LimitSet>(
            std::string_view(reinterpret_cast<const char*>(data), size));  // NOLINT(*-reinterpret-cast): bytes as text
        lease.accept(limits, {});
    } catch (const contract::Invalid&) {
        return 0;
    } catch (const service::Rejected&) {
        return 0;
    }
    constexpr int largest_unit_ca = 8000;
    constexpr std::chrono::seconds longest_lease{600};
    bool sound = lease.ends() && *lease.ends() <= scheduling::Instant{longest_lease};
    for (int id = 0; id <= 0xFFFF; id += 0x11) {
        const int wish_ca = lease.wish_ca(static_cast<twc_bus::UnitId>(id));
        sound = sound && wish_ca >= 0 && wish_ca <= largest_unit_ca;
    }
    if (!sound) {
        std::abort();
    }
    return 0;
}
