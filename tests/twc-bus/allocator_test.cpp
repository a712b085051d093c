#include "twc-bus/allocator.hpp"

#include <doctest/doctest.h>

#include "rig.hpp"
#include "support/instrumented.hpp"

using namespace std::chrono_literals;
using rig::Rig;
using scheduling::Instant;
using twc_bus::Allocator;
using twc_bus::Demand;
using twc_bus::Limits;

namespace {

Limits limits(int wiring_a) { return {.wiring_ca = wiring_a * 100, .charger_max_ca = 3200}; }

/// A charger that works to what it was granted.
Demand settled(twc_bus::UnitId id, int wish_a, int granted_a, int floor_a = 0) {
    return {.id = id,
            .wish_ca = wish_a * 100,
            .granted_ca = granted_a * 100,
            .offered_ca = granted_a * 100,
            .may_draw_ca = granted_a * 100,
            .certain_ca = granted_a * 100,
            .floor_ca = floor_a * 100,
            .heard = true};
}

}  // namespace

TEST_CASE("allocator: grants wishes that fit") {
    Allocator allocator(limits(32));
    const auto grants = allocator.allocate({settled(1, 16, 0), settled(2, 10, 0)}, {});
    CHECK(grants.at(1).ca == 1600);
    CHECK(grants.at(2).ca == 1000);
    CHECK(grants.at(1).reason.empty());
}

TEST_CASE("allocator: shares evenly in whole amps when wishes do not fit, small wishes in full") {
    Allocator allocator(limits(32));
    const auto grants = allocator.allocate({settled(1, 32, 0), settled(2, 32, 0), settled(3, 7, 0)}, {});
    CHECK(grants.at(1).ca == 1200);
    CHECK(grants.at(2).ca == 1200);
    CHECK(grants.at(3).ca == 700);
    CHECK(grants.at(1).reason == "the wiring limit");
}

TEST_CASE("allocator: a raise waits until the other's lowering shows in echo and current") {
    Allocator allocator(limits(32));
    auto first = settled(1, 10, 32);
    auto second = settled(2, 22, 0);
    auto grants = allocator.allocate({first, second}, {});
    CHECK(grants.at(1).ca == 1000);
    CHECK(grants.at(2).ca == 0);
    CHECK(grants.at(2).reason == "waiting until others have come down");

    first.granted_ca = 1000;
    first.offered_ca = 1000;  // echoed, but the car still draws
    first.may_draw_ca = 2800;
    grants = allocator.allocate({first, second}, Instant{1s});
    CHECK(grants.at(2).ca == 0);

    first.may_draw_ca = 1000;
    grants = allocator.allocate({first, second}, Instant{2s});
    CHECK(grants.at(2).ca == 2200);
}

TEST_CASE("allocator: nobody gets less than the minimum, except nothing") {
    Allocator allocator(limits(32));
    CHECK(allocator.allocate({settled(1, 5, 0)}, {}).at(1).ca == 0);
    CHECK(allocator.allocate({settled(1, 6, 0)}, {}).at(1).ca == 600);
}

TEST_CASE("allocator: when minimums do not fit, chargers take turns") {
    Allocator allocator(limits(13));
    std::vector<Demand> demands{settled(1, 16, 0), settled(2, 16, 0), settled(3, 16, 0)};
    std::map<twc_bus::UnitId, int> served;
    for (int quarter = 0; quarter < 12; ++quarter) {
        const Instant now{15min * quarter};
        auto grants = allocator.allocate(demands, now);
        for (auto& demand : demands) {  // everyone obeys at once
            demand.granted_ca = demand.offered_ca = demand.may_draw_ca = demand.certain_ca = grants.at(demand.id).ca;
        }
        grants = allocator.allocate(demands, now + 1s);
        int sum = 0;
        for (auto& demand : demands) {
            demand.granted_ca = demand.offered_ca = demand.may_draw_ca = demand.certain_ca = grants.at(demand.id).ca;
            served[demand.id] += demand.granted_ca > 0 ? 1 : 0;
            sum += demand.granted_ca;
        }
        CHECK(sum <= 1300);
    }
    CHECK(served[1] == 8);
    CHECK(served[2] == 8);
    CHECK(served[3] == 8);
}

TEST_CASE("allocator: what a unit told 0 may still draw is not given to others") {
    Allocator allocator(limits(20));
    const auto grants = allocator.allocate({settled(1, 0, 0, 6), settled(2, 20, 0)}, {});
    CHECK(grants.at(1).ca == 0);
    CHECK(grants.at(2).ca == 1400);
}

TEST_CASE("allocator: a unit that does not obey costs the others, not the wiring") {
    Allocator allocator(limits(32));
    auto rebel = settled(1, 0, 0);
    rebel.offered_ca = rebel.may_draw_ca = rebel.certain_ca = 2000;
    CHECK(allocator.allocate({rebel, settled(2, 20, 20)}, {}).at(2).ca == 2000);
    CHECK(allocator.allocate({rebel, settled(2, 20, 20)}, Instant{6s}).at(2).ca == 1200);
}

TEST_CASE("allocator: a charger not heard yet blocks raises and takes nothing away") {
    Allocator allocator(limits(32));
    Demand unknown{.id = 1, .may_draw_ca = 3200};
    const auto grants = allocator.allocate({unknown, settled(2, 32, 10)}, {});
    CHECK(grants.at(1).ca == 0);
    CHECK(grants.at(2).ca == 1000);
}

TEST_CASE("allocator: frozen chargers are lowered but never raised") {
    Allocator allocator(limits(32));
    auto demand = settled(1, 20, 10);
    demand.frozen = true;
    CHECK(allocator.allocate({demand}, {}).at(1).ca == 1000);
    demand.wish_ca = 600;
    CHECK(allocator.allocate({demand}, {}).at(1).ca == 600);
}

// The oracle knows what reached each unit; the master knows only what it sent and what came back.
TEST_CASE("allocator: with any losses, repeats, delays and wishes the units never may draw more than the wiring") {
    constexpr auto plug_in_grace = 12s;  // a unit told 0 that knows no 0 may take 6 A when a car comes
    std::uint64_t steps = 0;
    double charged_ca = 0;
    for (unsigned seed = 1; seed <= support::rounds(24); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int wiring_a = 20 + static_cast<int>(random() % 45);
        CAPTURE(wiring_a);
        Rig rig(rig::settings(wiring_a, std::min(wiring_a, 32)), {}, seed);
        std::map<std::uint16_t, Instant> plugged_at;
        const auto units = 1 + random() % 3;
        for (unsigned i = 0; i < units; ++i) {
            rig.add({.id = static_cast<std::uint16_t>(0x7700 + i),
                     .protocol = 1 + static_cast<int>(random() % 2),
                     .answer_delay = std::chrono::milliseconds(20 + random() % 180)});
        }
        for (int phase = 0; phase < 200; ++phase) {
            const double share = static_cast<double>(random() % 4) * 0.1;
            rig.faults = {.lost_to_slave = share * rig.between(0, 1),
                          .lost_from_slave = share * rig.between(0, 1),
                          .repeated = 0.2 * rig.between(0, 1),
                          .late = 0.2 * rig.between(0, 1)};
            for (auto& slave : rig.slaves) {
                rig.wishes[slave->id] = rig.chance(0.3) ? 0 : rig.between(5, 32) * 100;
                slave->wants_ca = rig.between(6, 32) * 100;
                slave->mute = rig.chance(0.05);
                slave->deaf = rig.chance(0.05);
                if (rig.chance(0.1) && slave->plugged) {
                    slave->unplug();
                } else if (rig.chance(0.4) && !slave->plugged) {
                    slave->plug_in();
                    plugged_at[slave->id] = rig.now;
                }
                if (rig.chance(0.03)) {
                    slave->reset(rig.now);
                }
            }
            const Instant end = rig.now + std::chrono::milliseconds(rig.between(100, rig.chance(0.6) ? 1500 : 40'000));
            while (rig.now < end) {
                rig.step();
                ++steps;
                int allowed_ca = wiring_a * 100;
                for (const auto& slave : rig.slaves) {
                    const auto at = plugged_at.find(slave->id);
                    const bool just_came = at != plugged_at.end() && rig.now - at->second < plug_in_grace;
                    allowed_ca += just_came && slave->protocol == 2 ? twc_bus::zero_echo_ca : 0;
                }
                REQUIRE(rig.may_draw_ca() <= allowed_ca);
                charged_ca += rig.may_draw_ca() > 0 ? 1 : 0;
            }
        }
        // Once the line is sound and wishes fit, everyone has what was wished.
        rig.faults = {};
        for (auto& slave : rig.slaves) {
            slave->mute = slave->deaf = false;
            slave->plug_in();
            rig.wishes[slave->id] = wiring_a * 100 / static_cast<int>(units) / 100 * 100;
        }
        rig.run_for(90s);
        for (auto& slave : rig.slaves) {
            const int expected = std::min({rig.wishes[slave->id], 3200, slave->rating_ca});
            CAPTURE(slave->id);
            CHECK(slave->limit_ca == expected);
        }
    }
    CHECK(steps > support::rounds(1'000'000));
    CHECK(charged_ca > 0.3 * static_cast<double>(steps));
}

TEST_CASE("allocator: a circuit of some binds them and leaves the others alone") {
    auto with_garage = limits(48);
    with_garage.circuits = {{.name = "the limit of circuit garage", .ca = 2000, .line = {}, .members = {{1, 2}}}};
    Allocator allocator(with_garage);
    const auto grants = allocator.allocate({settled(1, 32, 0), settled(2, 32, 0), settled(3, 32, 0)}, {});
    CHECK(grants.at(1).ca == 1000);
    CHECK(grants.at(2).ca == 1000);
    CHECK(grants.at(3).ca == 2800);
    CHECK(grants.at(1).reason == "the limit of circuit garage");
    CHECK(grants.at(3).reason == "the wiring limit");
}

TEST_CASE("allocator: a raise inside a circuit waits for the others of that circuit only") {
    auto with_garage = limits(64);
    with_garage.circuits = {{.name = "the limit of circuit garage", .ca = 2000, .line = {}, .members = {{1, 2}}}};
    Allocator allocator(with_garage);
    auto leaving = settled(1, 0, 0);
    leaving.may_draw_ca = 2000;
    const auto grants = allocator.allocate({leaving, settled(2, 16, 0), settled(3, 16, 0)}, {});
    CHECK(grants.at(2).ca == 0);
    CHECK(grants.at(2).reason == "waiting until others have come down");
    CHECK(grants.at(3).ca == 1600);
}

TEST_CASE("allocator: chargers on different conductors do not share them") {
    auto three_lines = limits(20);
    three_lines.lines = {{1, {true, false, false}}, {2, {false, true, false}}, {3, twc_bus::every_line}};
    Allocator allocator(three_lines);
    auto demands = std::vector{settled(1, 20, 0), settled(2, 20, 0)};
    demands[0].lines = three_lines.lines.at(1);
    demands[1].lines = three_lines.lines.at(2);
    CHECK(allocator.allocate(demands, {}).at(1).ca == 2000);
    CHECK(allocator.allocate(demands, {}).at(2).ca == 2000);

    demands.push_back(settled(3, 20, 0));
    const auto grants = allocator.allocate(demands, {});
    CHECK(grants.at(1).ca == 1000);
    CHECK(grants.at(2).ca == 1000);
    CHECK(grants.at(3).ca == 1000);
    CHECK(grants.at(1).reason == "the wiring limit on L1");
}

TEST_CASE("allocator: a limit of the moment lowers at once and is gone with it") {
    Allocator allocator(limits(32));
    const std::vector<twc_bus::SharedLimit> fuse{{"the house fuse on L1", 900, 0, {}}};
    const auto charging = settled(1, 20, 20);
    const auto lowered = allocator.allocate({charging}, {}, fuse);
    CHECK(lowered.at(1).ca == 900);
    CHECK(lowered.at(1).reason == "the house fuse on L1");
    CHECK(allocator.allocate({charging}, {}, {{"the house fuse on L1", 500, 0, {}}}).at(1).ca == 0);
    CHECK(allocator.allocate({charging}, {}).at(1).ca == 2000);
}

TEST_CASE("allocator: a charger's own maximum is never exceeded") {
    auto own = limits(40);
    own.own_max_ca = {{1, 1300}};
    Allocator allocator(own);
    const auto grants = allocator.allocate({settled(1, 32, 0), settled(2, 32, 0)}, {});
    CHECK(grants.at(1).ca == 1300);
    CHECK(grants.at(2).ca == 2700);
}
