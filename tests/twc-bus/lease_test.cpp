#include "twc-bus/lease.hpp"

#include <doctest/doctest.h>

#include "service/service_host.hpp"

using namespace std::chrono_literals;
using scheduling::Instant;
using twc_bus::Lease;

namespace {

contract::LimitSet limits(std::int64_t seq, double amps, double ttl_s = 30) {
    return {.ttl_s = ttl_s, .seq = seq, .chargers = {{"7744", amps}}};
}

}  // namespace

TEST_CASE("lease: holds for its time to live after it arrived") {
    Lease lease;
    CHECK_FALSE(lease.in_force({}));
    CHECK_FALSE(lease.ever());
    lease.accept(limits(1, 16.5), Instant{100s});
    CHECK(lease.in_force(Instant{129s}));
    CHECK_FALSE(lease.in_force(Instant{130s}));
    CHECK(lease.wish_ca(0x7744) == 1650);
    CHECK(lease.wish_ca(0x7745) == 0);
}

TEST_CASE("lease: amps are rounded down to hundredths, without losing whole ones to binary fractions") {
    Lease lease;
    lease.accept(limits(1, 16.559), {});
    CHECK(lease.wish_ca(0x7744) == 1655);
    lease.accept(limits(2, 8.29), {});
    CHECK(lease.wish_ca(0x7744) == 829);
}

TEST_CASE("lease: a late repetition is refused, a restarted writer is heard") {
    Lease lease;
    lease.accept(limits(100, 10), {});
    CHECK_THROWS_AS(lease.accept(limits(99, 20), {}), service::Rejected);
    CHECK_THROWS_AS(lease.accept(limits(97, 20), {}), service::Rejected);
    CHECK(lease.wish_ca(0x7744) == 1000);
    lease.accept(limits(100, 10), Instant{5s});
    CHECK(lease.in_force(Instant{34s}));
    lease.accept(limits(1, 12), {});
    CHECK(lease.wish_ca(0x7744) == 1200);
    lease.accept(limits(0, 13), Instant{60s});
    CHECK(lease.wish_ca(0x7744) == 1300);
}
