#include "policy-engine/plan_goal.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "service/service_host.hpp"
#include "support/local_zone.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;
using support::LocalZone;
using support::utc;

namespace {

const WallTime monday_noon = utc(2026, 6, 1, 10);  // 12:00 in Berlin

PlanGoal goal_of(const std::string& payload, WallTime now = monday_noon) {
    const auto command = parse_plan(payload, now);
    REQUIRE(command.goal);
    return *command.goal;
}

PlanGoal weekly(const std::string& days, const std::string& by) {
    return goal_of(fmt::format(R"({{"vehicle":"blue","soc_pct":80,"by":"{}","days":{}}})", by, days));
}

}  // namespace

TEST_CASE("plan goal: every way to write one") {
    const LocalZone zone("Europe/Berlin");
    const auto blue = goal_of(R"({"vehicle":"Blue","soc_pct":80,"by":"07:00"})");
    CHECK(blue == PlanGoal{.vehicle = "blue", .soc_pct = 80, .by = utc(2026, 6, 2, 5)});
    CHECK(goal_of(R"({"vehicle":"blue","soc_pct":80,"by":"18:00"})").by == utc(2026, 6, 1, 16));
    CHECK(goal_of(R"({"vehicle":"blue","soc_pct":80,"by":"24:00"})").by == utc(2026, 6, 1, 22));
    const auto once = goal_of(R"({"charger":"7744","energy_kwh":20,"by":"2026-06-02T07:00:00+02:00"})");
    CHECK(once == PlanGoal{.charger = "7744", .energy_kwh = 20, .by = utc(2026, 6, 2, 5)});
    CHECK(goal_of(R"({"charger":"7744","energy_kwh":20,"by":"2026-06-02T05:00:00Z"})") == once);
    const auto all = goal_of(R"({"charger":"7744","energy_kwh":20,"by":"2026-06-02T07:00:00+02:00",
        "days":["mon","fri"],"strategy":"CO2","precondition_min":15})");
    CHECK(all == PlanGoal{.charger = "7744",
                          .energy_kwh = 20,
                          .days = 0b10001,
                          .by_min = 7 * 60,
                          .strategy = PlanStrategy::co2,
                          .precondition_min = 15});
    CHECK(weekly(R"("weekdays")", "06:30").days == 0x1F);

    CHECK_FALSE(parse_plan(" Clear ", monday_noon).goal);
    const auto clear = parse_plan(R"({"vehicle":"blue","clear":true})", monday_noon);
    CHECK_FALSE(clear.goal);
    CHECK(clear.vehicle == "blue");
    CHECK(clear.charger.empty());
}

TEST_CASE("plan goal: what is wrong is refused with what is expected") {
    const LocalZone zone("Europe/Berlin");
    struct Row {
        const char* payload;
        const char* what;
    };
    const Row rows[] = {
        {"80", "neither a plan"},
        {"[]", "neither a plan"},
        {R"({"soc_pct":80,"by":"07:00"})", "vehicle or charger"},
        {R"({"vehicle":"blue","charger":"7744","soc_pct":80,"by":"07:00"})", "vehicle or charger"},
        {R"({"vehicle":"b l","soc_pct":80,"by":"07:00"})", "vehicle: is not an id"},
        {R"({"vehicle":7,"soc_pct":80,"by":"07:00"})", "vehicle: must be a text"},
        {R"({"vehicle":"blue","by":"07:00"})", "soc_pct or energy_kwh"},
        {R"({"vehicle":"blue","soc_pct":80,"energy_kwh":3,"by":"07:00"})", "soc_pct or energy_kwh"},
        {R"({"charger":"7744","soc_pct":80,"by":"07:00"})", "only a vehicle"},
        {R"({"vehicle":"blue","soc_pct":101,"by":"07:00"})", "soc_pct: must be"},
        {R"({"vehicle":"blue","soc_pct":"80","by":"07:00"})", "soc_pct: must be"},
        {R"({"vehicle":"blue","soc_pct":null,"by":"07:00"})", "soc_pct: must be"},
        {R"({"vehicle":"blue","energy_kwh":0,"by":"07:00"})", "energy_kwh: must be"},
        {R"({"vehicle":"blue","soc_pct":80})", "by: must be"},
        {R"({"vehicle":"blue","soc_pct":80,"by":7})", "by: must be a text"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"25:00"})", "by: must be"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"2026-06-02T07:00:00"})", "by: must be"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"2026-05-02T07:00:00Z"})", "by: must lie ahead"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"2062-05-02T07:00:00Z"})", "by: must lie ahead"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","days":[]})", "days: the list is empty"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","days":["xyz"]})", "is not a day"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","strategy":"fastest"})", "strategy: must be"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","precondition_min":15.5})", "whole number"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","precondition_min":241})", "precondition_min: must be"},
        {R"({"vehicle":"blue","soc_pct":80,"by":"07:00","amps":16})", "\"amps\" is not a key"},
        {R"({"vehicle":"blue","clear":false})", "clear: can only be true"},
        {R"({"vehicle":"blue","clear":true,"by":"07:00"})", "\"by\" is not a key"},
        {R"({"clear":true})", "vehicle or charger"},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.payload));
        std::string what;
        std::string expected;
        try {
            parse_plan(row.payload, monday_noon);
        } catch (const service::Rejected& error) {
            what = error.what();
            expected = error.expected();
        }
        CHECK(what.find(row.what) != std::string::npos);
        CHECK_FALSE(expected.empty());
    }
    CHECK_THROWS_AS(parse_plan(R"({"vehicle":)", monday_noon), contract::Invalid);
    CHECK_THROWS_AS(parse_plan("\xff\xfe", monday_noon), service::Rejected);
    CHECK_THROWS_AS(parse_plan("{\"\xff\":1}", monday_noon), contract::Invalid);
}

TEST_CASE("plan goal: a weekly deadline is the next one of its days") {
    const LocalZone zone("Europe/Berlin");
    const auto early = weekly(R"(["mon","fri"])", "07:00");
    CHECK(next_deadline(early, monday_noon) == utc(2026, 6, 5, 5));
    CHECK(next_deadline(early, utc(2026, 6, 5, 5)) == utc(2026, 6, 8, 5));
    CHECK(next_deadline(early, utc(2026, 6, 5, 4, 59)) == utc(2026, 6, 5, 5));
    CHECK(next_deadline(weekly(R"("mon")", "12:00"), monday_noon) == utc(2026, 6, 8, 10));
    // Midnight: 00:00 begins Monday, 24:00 ends it.
    CHECK(next_deadline(weekly(R"("tue")", "00:00"), monday_noon) == utc(2026, 6, 1, 22));
    CHECK(next_deadline(weekly(R"("mon")", "24:00"), monday_noon) == utc(2026, 6, 1, 22));
    CHECK(next_deadline(weekly(R"("mon")", "24:00"), utc(2026, 6, 1, 22)) == utc(2026, 6, 8, 22));
    // The 29th of February 2028 is a Tuesday.
    CHECK(next_deadline(weekly(R"("tue")", "07:00"), utc(2028, 2, 28, 12)) == utc(2028, 2, 29, 6));
    CHECK(next_deadline(weekly(R"("wed")", "07:00"), utc(2028, 2, 28, 12)) == utc(2028, 3, 1, 6));

    const auto once = goal_of(R"({"vehicle":"blue","soc_pct":80,"by":"07:00"})");
    CHECK(next_deadline(once, monday_noon) == utc(2026, 6, 2, 5));
    CHECK_FALSE(next_deadline(once, utc(2026, 6, 2, 5)));
}

TEST_CASE("plan goal: in the nights when clocks change, a deadline comes once") {
    const LocalZone zone("Europe/Berlin");
    // 29 March 2026: 02:00 becomes 03:00, at 01:00 UTC.
    CHECK(next_deadline(weekly(R"("sun")", "07:00"), utc(2026, 3, 28, 12)) == utc(2026, 3, 29, 5));
    const auto skipped = weekly(R"("all")", "02:30");
    const auto spring = next_deadline(skipped, utc(2026, 3, 28, 12));
    REQUIRE(spring);
    CHECK(*spring >= utc(2026, 3, 29, 0, 30));
    CHECK(*spring <= utc(2026, 3, 29, 1, 30));
    CHECK(next_deadline(skipped, *spring) == utc(2026, 3, 30, 0, 30));
    // 25 October 2026: 03:00 becomes 02:00, at 01:00 UTC.
    CHECK(next_deadline(weekly(R"("sun")", "07:00"), utc(2026, 10, 24, 12)) == utc(2026, 10, 25, 6));
    const auto autumn = next_deadline(skipped, utc(2026, 10, 24, 12));
    REQUIRE(autumn);
    CHECK((*autumn == utc(2026, 10, 25, 0, 30) || *autumn == utc(2026, 10, 25, 1, 30)));
    CHECK(next_deadline(skipped, *autumn) == utc(2026, 10, 26, 1, 30));
}

TEST_CASE("plan goal: several live side by side, and a new one takes the place of what it competes with") {
    const LocalZone zone("Europe/Berlin");
    std::vector<PlanGoal> goals;
    apply_plan(goals, {.goal = weekly(R"("weekdays")", "07:00")});
    apply_plan(goals, {.goal = weekly(R"("weekend")", "09:00")});
    apply_plan(goals, {.goal = goal_of(R"({"vehicle":"blue","soc_pct":100,"by":"05:00"})")});
    apply_plan(goals, {.goal = goal_of(R"({"charger":"7744","energy_kwh":9,"by":"05:00"})")});
    CHECK(goals.size() == 4);
    apply_plan(goals, {.goal = goal_of(R"({"vehicle":"blue","soc_pct":90,"by":"04:00"})")});
    CHECK(goals.size() == 4);
    apply_plan(goals, {.goal = weekly(R"(["fri","sat"])", "08:00")});
    CHECK(goals.size() == 3);
    apply_plan(goals, {.vehicle = "blue"});
    REQUIRE(goals.size() == 1);
    CHECK(goals[0].charger == "7744");
    apply_plan(goals, {.vehicle = "green"});
    CHECK(goals.size() == 1);
    apply_plan(goals, {});
    CHECK(goals.empty());

    for (std::size_t i = 0; i < most_plan_goals; ++i) {
        apply_plan(goals, {.goal = PlanGoal{.vehicle = fmt::format("car{}", i), .soc_pct = 80, .by = monday_noon}});
    }
    const auto before = goals;
    CHECK_THROWS_AS(apply_plan(goals, {.goal = weekly(R"("mon")", "07:00")}), service::Rejected);
    CHECK(goals == before);
    apply_plan(goals, {.goal = PlanGoal{.vehicle = "car3", .soc_pct = 70, .by = monday_noon}});
    CHECK(goals.size() == most_plan_goals);
}

TEST_CASE("plan goal: what is kept is what was set, and a deadline that has passed is kept as well") {
    const LocalZone zone("Europe/Berlin");
    std::vector<PlanGoal> goals;
    apply_plan(goals, {.goal = goal_of(R"({"charger":"7744","energy_kwh":20.5,"by":"07:00","strategy":"latest"})")});
    apply_plan(goals, {.goal = goal_of(R"({"vehicle":"blue","soc_pct":80,"by":"07:00","precondition_min":15})")});
    apply_plan(goals, {.goal = weekly(R"(["mon","sun"])", "24:00")});
    apply_plan(goals, {.goal = weekly(R"("tue")", "00:05")});
    REQUIRE(goals.size() == 4);
    CHECK(plans_from_json(plans_to_json(goals)) == goals);
    {
        const LocalZone elsewhere("Asia/Kolkata");
        CHECK(plans_from_json(plans_to_json(goals)) == goals);
    }
    for (const auto& goal : goals) {
        CHECK(goal_of(plan_to_json(goal).dump()) == goal);
    }
    CHECK(plan_to_json(goals[0]) == nlohmann::json::parse(R"({"charger":"7744","energy_kwh":20.5,
        "by":"2026-06-02T07:00:00.000+02:00","strategy":"latest"})"));

    const auto past = nlohmann::json::parse(R"([{"vehicle":"blue","soc_pct":80,"by":"2020-01-01T00:00:00Z"}])");
    CHECK(plans_from_json(past).at(0).by == utc(2020, 1, 1));
    const auto unresolved = nlohmann::json::parse(R"([{"vehicle":"blue","soc_pct":80,"by":"07:00"}])");
    CHECK_THROWS_AS(plans_from_json(unresolved), service::Rejected);
    CHECK_THROWS_AS(plans_from_json(nlohmann::json::object()), service::Rejected);
    CHECK_THROWS_AS(plans_from_json(nlohmann::json::parse("[1]")), service::Rejected);
}
