#include "ems-bridge/site.hpp"

#include <algorithm>
#include <list>
#include <random>

#include <doctest/doctest.h>

using namespace ems_bridge;
using namespace std::chrono_literals;
using scheduling::Instant;

namespace {

const Instant now{1h};

// Sources as a test writes them down; the combiner only gets views.
struct Site {
    struct Entry {
        Member member;
        Statements statements;
    };
    std::list<Entry> sources;
    Surroundings surroundings;
    SiteMemory memory;

    Entry& add(const char* name, Roles roles, const Reading& reading, Instant at = now) {
        Entry& entry = silent(name, std::move(roles));
        entry.statements.accept(reading, at);
        return entry;
    }
    Entry& silent(const char* name, Roles roles) {
        return sources.emplace_back(Entry{{.name = name, .roles = std::move(roles), .stale_after = 15s}, {}});
    }
    SitePicture picture(Instant at = now) const {
        std::vector<SourceView> views;
        for (const auto& source : sources) {
            views.push_back({source.member, source.statements});
        }
        return combine(views, surroundings, memory, at);
    }
    contract::SitePower power(Instant at = now) const { return picture(at).power; }
};

}  // namespace

TEST_CASE("site a: a meter alone gives the grid and no invented house") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -1200, .voltage_v = {231, 230, 229}});

    const auto power = site.power();

    CHECK(power.grid_w == -1200);
    CHECK_FALSE(power.pv_w);
    CHECK_FALSE(power.house_w);
    CHECK(power.voltage_v == contract::PerPhase{231, 230, 229});
    CHECK(power.quality == "ok");
    CHECK(power.age_s == 0);
}

TEST_CASE("site b: meter and panels give the house") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -1200});
    site.add("roof", {Role::pv}, {.pv_w = 3500});

    const auto power = site.power();

    CHECK(power.house_w == 2300);
    CHECK(power.quality == "ok");
}

TEST_CASE("site c: two inverters and a battery are summed") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -1200});
    site.add("east", {Role::pv}, {.pv_w = 2000});
    site.add("west", {Role::pv}, {.pv_w = 1500});
    site.add("battery", {Role::battery}, {.battery_w = -700, .battery_soc_pct = 40});

    const auto power = site.power();

    CHECK(power.pv_w == 3500);
    CHECK(power.battery_w == -700);
    CHECK(power.house_w == 1600);
    CHECK(power.battery_soc_pct == 40);
    CHECK(power.quality == "ok");
}

TEST_CASE("site c: the load an inverter without a meter reports is not added to anything") {
    Site site;
    site.add("first", {Role::grid, Role::pv, Role::house}, {.grid_w = -1200, .pv_w = 2000, .house_w = 2300});
    site.add("second", {Role::pv, Role::house}, {.pv_w = 1500, .house_w = 0});

    CHECK(site.power().house_w == 2300);
    CHECK(site.power().pv_w == 3500);
}

TEST_CASE("site d: a dead inverter by day makes the sum unknown and never smaller") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -1200});
    site.add("east", {Role::pv}, {.pv_w = 2000});
    site.add("west", {Role::pv}, {.pv_w = 1500}, now - 16s);

    const auto power = site.power();

    CHECK(power.grid_w == -1200);
    CHECK_FALSE(power.pv_w);
    CHECK_FALSE(power.house_w);
    CHECK(power.quality == "partial");
    CHECK(power.missing == std::vector<std::string>{"west"});
}

TEST_CASE("site e: a dead meter is stale, one never heard is an error, and a backup steps in") {
    Site site;
    auto& meter = site.add("meter", {Role::grid}, {.grid_w = -1200}, now - 16s);
    site.add("roof", {Role::pv}, {.pv_w = 3500});

    CHECK_FALSE(site.power().grid_w);
    CHECK(site.power().pv_w == 3500);
    CHECK(site.power().quality == "stale");
    CHECK(site.power().missing == std::vector<std::string>{"meter"});

    meter.statements = {};
    CHECK(site.power().quality == "error");

    site.add("inverter-meter", {Role::grid}, {.grid_w = -1150});
    CHECK(site.power().grid_w == -1150);
    CHECK(site.power().quality == "partial");
}

TEST_CASE("site e: nothing at all is an error, everything too old is stale") {
    Site site;
    auto& meter = site.silent("meter", {Role::grid});
    CHECK(site.power().quality == "error");
    CHECK_FALSE(site.power().age_s);

    meter.statements.accept({.grid_w = 5}, now - 1min);
    CHECK(site.power().quality == "stale");
    CHECK_FALSE(site.power().age_s);
}

TEST_CASE("site f: a sleeping inverter is 0 W only where something else shows life") {
    Site site;
    site.add("roof", {Role::pv}, {.pv_w = 0, .pv_asleep = true});
    CHECK_FALSE(site.power().pv_w);

    site.surroundings.sun_is_down = true;
    CHECK(site.power().pv_w == 0);

    site.surroundings.sun_is_down = false;
    site.add("meter", {Role::grid}, {.grid_w = 412});
    CHECK(site.power().pv_w == 0);
    CHECK(site.power().house_w == 412);
    CHECK(site.power().quality == "ok");
}

TEST_CASE("site f: an inverter that is silent at night is 0 W, by day it is unknown") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = 412});
    site.add("roof", {Role::pv}, {.pv_w = 30}, now - 1h);

    CHECK_FALSE(site.power().pv_w);
    CHECK(site.power().quality == "partial");

    site.surroundings.sun_is_down = true;
    CHECK(site.power().pv_w == 0);
    CHECK(site.power().quality == "ok");
    CHECK(site.power().missing.empty());
}

TEST_CASE("site g: chargers before the meter are added, and unknown chargers make it unknown") {
    Site site;
    site.add("gateway", {Role::grid, Role::house, Role::pv}, {.grid_w = -3000, .pv_w = 4000, .house_w = 1000})
        .member.includes_chargers = false;

    CHECK_FALSE(site.power().grid_w);
    CHECK_FALSE(site.power().house_w);

    site.surroundings.charger_w = 2300;
    CHECK(site.power().grid_w == -700);
    CHECK(site.power().house_w == 3300);
    CHECK(site.power().quality == "ok");
}

TEST_CASE("site h: a negative house is shown as 0, kept for diagnosis, and partial when it lasts") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -2000});
    site.add("roof", {Role::pv}, {.pv_w = 1500});

    auto first = site.picture();
    CHECK(first.power.house_w == 0);
    CHECK(first.raw_house_w == -500);
    CHECK(first.power.quality == "ok");

    site.memory = first.memory;
    for (auto& source : site.sources) {
        source.statements.accept(source.member.name == "meter" ? Reading{.grid_w = -2000} : Reading{.pv_w = 1500},
                                 now + 20s);
    }
    CHECK(site.power(now + 20s).quality == "partial");
}

TEST_CASE("site i: what arrives late and is older does not replace what is newer") {
    Site site;
    auto& meter = site.add("meter", {Role::grid}, {.grid_w = -1200});

    meter.statements.accept({.grid_w = 5000}, now - 2s);
    CHECK(site.power().grid_w == -1200);

    meter.statements.accept({.grid_w = std::nullopt}, now + 1s);
    CHECK_FALSE(site.power(now + 1s).grid_w);
}

TEST_CASE("site: the worked example reports the balance") {
    Site site;
    site.add("solaredge", {Role::grid, Role::pv, Role::battery, Role::house},
             {.grid_w = -2210, .pv_w = 5460, .house_w = 1700, .battery_w = -1500, .battery_soc_pct = 64});

    CHECK(site.power().house_w == 1750);
}

TEST_CASE("site: house and panels without a grid meter give an estimated grid") {
    Site site;
    site.add("iotawatt", {Role::house, Role::pv}, {.pv_w = 2477.9, .house_w = 1320.4});

    const auto power = site.power();

    CHECK(power.grid_w == doctest::Approx(-1157.5));
    CHECK(power.house_w == 1320.4);
    CHECK(power.quality == "estimated");
}

TEST_CASE("site: without the battery that is configured the grid is not derived") {
    Site site;
    site.add("iotawatt", {Role::house, Role::pv}, {.pv_w = 2500, .house_w = 1300});
    site.silent("battery", {Role::battery});

    CHECK_FALSE(site.power().grid_w);
    CHECK(site.power().quality == "partial");
}

TEST_CASE("site: states of charge are weighted by capacity") {
    Site site;
    site.add("big", {Role::battery}, {.battery_w = 0, .battery_soc_pct = 80}).member.battery_kwh = 30;
    auto& small = site.add("small", {Role::battery}, {.battery_w = 0, .battery_soc_pct = 40});

    CHECK(site.power().battery_soc_pct == 60);
    small.member.battery_kwh = 10;
    CHECK(site.power().battery_soc_pct == 70);
}

TEST_CASE("site: ages are those of the oldest value and of the grid, and far apart is partial") {
    Site site;
    site.add("meter", {Role::grid}, {.grid_w = -1200}, now - 1s);
    auto& roof = site.add("roof", {Role::pv}, {.pv_w = 3500}, now - 10s);

    CHECK(site.power().age_s == 10);
    CHECK(site.power().grid_age_s == 1);
    CHECK(site.picture().valid_until == now + 5s);
    CHECK(site.power().quality == "ok");

    roof.member.stale_after = 5min;
    CHECK(site.power(now + 10s).quality == "ok");
    roof.statements.accept({.pv_w = 3500}, now - 5s);
    site.sources.front().statements.accept({.grid_w = -1}, now + 60s);
    CHECK(site.power(now + 60s).quality == "partial");
}

namespace {

struct Sample {
    std::size_t source;
    Reading reading;
    Instant at;
};

std::optional<double> maybe(std::mt19937& random, double min, double max) {
    return random() % 4 == 0 ? std::nullopt : std::optional(std::uniform_real_distribution(min, max)(random));
}

// Four sources, each with random roles, and what they say over two minutes at times that are all different.
struct Scenario {
    std::vector<Member> members;
    std::vector<Sample> samples;
};

Scenario make_scenario(std::mt19937& random) {
    Scenario scenario;
    for (int i = 0; i < 4; ++i) {
        Roles roles;
        for (const Role role : {Role::grid, Role::pv, Role::battery, Role::house}) {
            if (random() % 2 == 0) {
                roles.insert(role);
            }
        }
        scenario.members.push_back({.name = std::to_string(i),
                                    .roles = roles,
                                    .stale_after = std::chrono::seconds(1 + random() % 60),
                                    .includes_chargers = random() % 5 != 0});
    }
    for (int i = 0; i < 30; ++i) {
        scenario.samples.push_back({.source = random() % 4,
                                    .reading = {.grid_w = maybe(random, -9000, 9000),
                                                .pv_w = maybe(random, 0, 9000),
                                                .house_w = maybe(random, 0, 9000),
                                                .battery_w = maybe(random, -3000, 3000),
                                                .battery_soc_pct = maybe(random, 0, 100)},
                                    .at = now + i * 4s + std::chrono::milliseconds(random() % 4000)});
    }
    return scenario;
}

SitePicture play(const Scenario& scenario, const std::vector<Sample>& samples, Instant at) {
    std::vector<Statements> statements(scenario.members.size());
    for (const auto& sample : samples) {
        statements[sample.source].accept(sample.reading, sample.at);
    }
    std::vector<SourceView> views;
    for (std::size_t i = 0; i < statements.size(); ++i) {
        views.push_back({scenario.members[i], statements[i]});
    }
    return combine(views, {.charger_w = 1000}, {}, at);
}

}  // namespace

TEST_CASE("site property: the order in which samples arrive does not matter") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto scenario = make_scenario(random);
        const Instant at = now + std::chrono::seconds(120 + random() % 30);
        const auto in_order = play(scenario, scenario.samples, at);
        auto shuffled = scenario.samples;
        std::shuffle(shuffled.begin(), shuffled.end(), random);

        const auto out_of_order = play(scenario, shuffled, at);

        REQUIRE(out_of_order.power == in_order.power);
        REQUIRE(out_of_order.valid_until == in_order.valid_until);
    }
}

TEST_CASE("site property: a value older than its limit has no influence") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto scenario = make_scenario(random);
        const Instant at = now + std::chrono::seconds(120 + random() % 90);
        auto poisoned = scenario.samples;
        for (auto& sample : poisoned) {
            if (at - sample.at > scenario.members[sample.source].stale_after) {
                for (const Quantity quantity : all_quantities()) {
                    auto& value = value_of(sample.reading, quantity);
                    value = value ? std::optional(123456.0) : value;
                }
            }
        }

        const auto clean = play(scenario, scenario.samples, at);

        REQUIRE(play(scenario, poisoned, at).power == clean.power);
        REQUIRE((!clean.valid_until || *clean.valid_until >= at));
        REQUIRE(clean.power.age_s.value_or(0) <= 60);
    }
}

TEST_CASE("site property: unknown stays unknown") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto scenario = make_scenario(random);
        const Instant at = now + 125s;
        const auto power = play(scenario, scenario.samples, at).power;
        const auto later = play(scenario, scenario.samples, at + 1h).power;

        // Nothing survives an hour of silence, and no total exists without each of its parts.
        REQUIRE_FALSE(later.grid_w);
        REQUIRE_FALSE(later.pv_w);
        REQUIRE_FALSE(later.house_w);
        REQUIRE_FALSE(later.battery_w);
        for (std::size_t i = 0; i < scenario.members.size(); ++i) {
            Statements last;
            for (const auto& sample : scenario.samples) {
                if (sample.source == i) {
                    last.accept(sample.reading, sample.at);
                }
            }
            const bool has_pv = scenario.members[i].roles.contains(Role::pv);
            if (has_pv && !last.fresh(Quantity::pv_w, scenario.members[i].stale_after, at)) {
                REQUIRE_FALSE(power.pv_w);
            }
        }
    }
}
