#include "peer_laws.hpp"

#include <doctest/doctest.h>

#include "evcc_like.hpp"

using namespace policy_engine::simulation;

namespace {

/// Tells a law what it would see, second by second; the car draws what it is offered.
class Questions {
public:
    explicit Questions(Law law) : law_(std::move(law)) {}

    /// The offer after so many seconds with this grid power.
    double after(int seconds, double grid_w) {
        for (int i = 0; i < seconds; ++i) {
            seen_.grid_w = grid_w;
            seen_.drawn_a = offer_a_;
            offer_a_ = law_(seen_);
            seen_.t_s += 1;
        }
        return offer_a_;
    }

    /// Seconds with this grid power until the offer is 0 or not 0; at most an hour.
    int until(bool offered, double grid_w) {
        int seconds = 0;
        while ((offer_a_ > 0) != offered && seconds < 3600) {
            after(1, grid_w);
            ++seconds;
        }
        return seconds;
    }

private:
    Law law_;
    Observation seen_;
    double offer_a_ = 0;
};

}  // namespace

TEST_CASE("peer laws: evcc looks every 30 s, rounds down, starts after 60 s, stops after 180 s") {
    Questions evcc(study::timer_law({}));
    CHECK(evcc.until(true, -3000) == 61);
    CHECK(evcc.after(29, -1000) == 6);
    CHECK(evcc.after(1, -1000) == 10);
    CHECK(evcc.after(29, 3000) == 10);
    CHECK(evcc.after(1, 3000) == 6);
    CHECK(evcc.until(false, 200) == 180);
}

TEST_CASE("peer laws: openWB starts on 1500 W a phase for 30 s, holds in its band, moves at most 5 A every 10 s") {
    Questions idle(study::openwb_law({}));
    CHECK(idle.after(600, -1380) == 0);
    Questions openwb(study::openwb_law({}));
    CHECK(openwb.until(true, -6000) == 31);
    CHECK(openwb.after(9, -6000) == 6);
    CHECK(openwb.after(1, -6000) == 11);
    CHECK(openwb.after(10, -6000) == 16);
    CHECK(openwb.after(60, 200) == 16);
    CHECK(openwb.after(10, 115 + 460) == doctest::Approx(14));
    CHECK(openwb.after(20, 6000) == 6);
    CHECK(openwb.until(false, 300) == 60);
}

TEST_CASE("peer laws: SmartEVSE rises half an ampere every 2 s, falls by half the import, stops after ten minutes") {
    Questions idle(study::smartevse_law({}));
    CHECK(idle.after(600, -900) == 0);
    Questions smartevse(study::smartevse_law({}));
    CHECK(smartevse.until(true, -1000) == 1);
    CHECK(smartevse.after(39, -3000) == 6);
    CHECK(smartevse.after(20, -3000) == doctest::Approx(11));
    CHECK(smartevse.after(2, -100) == doctest::Approx(11.1));
    CHECK(smartevse.after(60, 50) == doctest::Approx(11.1));
    CHECK(smartevse.after(2, 4 * 230) == doctest::Approx(9.1));
    CHECK(smartevse.after(10, 2000) == 6);
    CHECK(smartevse.until(false, 2000) >= 590);
    CHECK(smartevse.until(true, -3000) >= 59);
}

TEST_CASE("peer laws: TWCManager follows in whole amperes every 30 s, with 60 s between start and stop") {
    Questions twcmanager(study::twcmanager_law({}));
    CHECK(twcmanager.until(true, -2000) == 1);
    CHECK(twcmanager.after(30, -100) == 8);
    CHECK(twcmanager.after(30, 100) == 7);
    CHECK(twcmanager.until(false, 2000) == 30);
    CHECK(twcmanager.after(30, -3000) == 0);
    CHECK(twcmanager.after(30, -3000) == 13);
    CHECK(twcmanager.after(30, 3000) == 6);
}

TEST_CASE("peer laws: OpenEVSE filters only start and stop, the current follows at once") {
    Questions idle(study::openevse_law({}));
    CHECK(idle.after(3600, -1450) == 0);
    Questions openevse(study::openevse_law({}));
    CHECK(openevse.until(true, -3000) == 15);
    CHECK(openevse.after(1, -1000) == 17);
    CHECK(openevse.after(1, 3000) == 6);
    CHECK(openevse.after(560, 500) == 6);
    CHECK(openevse.until(false, 500) < 600);
}

TEST_CASE("peer laws: what a home battery gives is sun to OpenEVSE only") {
    // At the minimum while a full battery covers a cloud.
    const auto stays_on = [](const Law& law) {
        Observation seen{.grid_w = -3000, .battery_w = 0, .battery_soc_pct = 100};
        for (double offer_a = 0; seen.t_s < 7200; seen.t_s += 1) {
            const bool cloud = seen.t_s > 600;
            seen.grid_w = cloud ? 0 : -3000;
            seen.battery_w = cloud ? offer_a * 230 : 0;
            seen.pv_w = cloud ? 0 : 3000 + offer_a * 230;
            seen.drawn_a = offer_a;
            offer_a = law(seen);
            if (seen.t_s > 7000) {
                return offer_a > 0;
            }
        }
        return false;
    };
    CHECK(stays_on(study::openevse_law({})));
    CHECK_FALSE(stays_on(study::openwb_law({})));
    CHECK_FALSE(stays_on(study::smartevse_law({})));
    CHECK_FALSE(stays_on(study::twcmanager_law({})));
    CHECK_FALSE(stays_on(study::timer_law({})));
}
