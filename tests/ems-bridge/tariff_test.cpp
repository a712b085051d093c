#include "ems-bridge/tariffs/tariff.hpp"

#include <random>

#include <doctest/doctest.h>

#include "clocks/civil_time.hpp"
#include "support.hpp"

using namespace ems_bridge;
using namespace std::chrono_literals;
using contract::TariffSlot;
using test::at;

namespace {

constexpr unsigned every_day = 0b1111111;

FixedTariff night_tariff() {
    return {.import_price = 0.32,
            .export_price = 0.08,
            .windows = {{.days = every_day, .from_min = 22 * 60, .to_min = 6 * 60, .import_price = 0.24}}};
}

std::vector<TariffSlot> hours(contract::WallTime start, const std::vector<double>& prices) {
    std::vector<TariffSlot> slots;
    for (const double price : prices) {
        slots.push_back({.start = start, .end = start + 1h, .import_price = price});
        start += 1h;
    }
    return slots;
}

// In order, without overlaps, none empty.
template <class Slot>
bool is_orderly(const std::vector<Slot>& slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (slots[i].end <= slots[i].start || (i > 0 && slots[i].start < slots[i - 1].end)) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST_CASE("fixed tariff: windows over midnight, at least two days ahead") {
    const test::Zone zone;
    const auto now = at("2026-06-01T12:00:00+02:00");

    const auto slots = slots_of(night_tariff(), now);

    REQUIRE(slots.size() == 7);
    CHECK(is_orderly(slots));
    CHECK(slots.front() == TariffSlot{.start = at("2026-06-01T00:00:00+02:00"),
                                      .end = at("2026-06-01T06:00:00+02:00"),
                                      .import_price = 0.24,
                                      .export_price = 0.08});
    CHECK(slots[1].import_price == 0.32);
    CHECK(slots[2].start == at("2026-06-01T22:00:00+02:00"));
    CHECK(slots[2].end == at("2026-06-02T06:00:00+02:00"));
    CHECK(slots.back().end - now >= 48h);
}

TEST_CASE("fixed tariff: on DST nights a window is what the clocks show") {
    const test::Zone zone;
    const auto length_of_night = [](const char* now) { return slots_of(night_tariff(), at(now)).front(); };

    const auto spring = length_of_night("2026-03-29T12:00:00+02:00");
    CHECK(spring.end - spring.start == 5h);  // midnight to six, without the hour from two to three
    const auto autumn = length_of_night("2026-10-25T12:00:00+01:00");
    CHECK(autumn.end - autumn.start == 7h);

    // 02:30 to 03:00 is shown twice in autumn and never in spring.
    const FixedTariff odd{.import_price = 0.3,
                          .windows = {{.days = every_day, .from_min = 150, .to_min = 180, .import_price = 0.1}}};
    const auto cheap_on = [&](const char* now) {
        std::chrono::seconds cheap{0};
        const auto day_end = clocks::local_midnight(at(now), 1);
        for (const auto& slot : slots_of(odd, at(now))) {
            cheap += slot.import_price == 0.1 && slot.start < day_end
                         ? std::chrono::duration_cast<std::chrono::seconds>(slot.end - slot.start)
                         : 0s;
        }
        return cheap;
    };
    CHECK(cheap_on("2026-10-25T12:00:00+01:00") == 1h);
    CHECK(cheap_on("2026-03-29T12:00:00+02:00") == 0h);
    CHECK(cheap_on("2026-06-01T12:00:00+02:00") == 30min);
}

TEST_CASE("fixed tariff: days, whole days, and the first window that says something") {
    const test::Zone zone;
    const FixedTariff tariff{.windows = {{.days = 0b1100000, .from_min = 0, .to_min = 1440, .import_price = 0.2},
                                         {.days = every_day, .from_min = 720, .to_min = 840, .co2_g_kwh = 150},
                                         {.days = every_day, .from_min = 0, .to_min = 1440, .import_price = 0.3}}};

    const auto slots = slots_of(tariff, at("2026-06-05T12:00:00+02:00"));  // a Friday

    REQUIRE(slots.size() == 8);
    CHECK(slots[0].import_price == 0.3);
    CHECK(slots[1].co2_g_kwh == 150);
    CHECK(slots[1].import_price == 0.3);
    CHECK(slots[3].import_price == 0.2);
    CHECK(slots[3].start == at("2026-06-06T00:00:00+02:00"));
    CHECK(slots[4].co2_g_kwh == 150);

    const FixedTariff gaps{.windows = {{.days = 0b0000001, .from_min = 1380, .to_min = 60, .import_price = 0.1}}};
    const auto rare = slots_of(gaps, at("2026-06-01T12:00:00+02:00"));  // a Monday
    REQUIRE(rare.size() == 1);
    CHECK(rare[0].end == at("2026-06-02T01:00:00+02:00"));
}

TEST_CASE("slots: news count before what was known, and what they leave open stays") {
    const auto start = at("2026-06-01T00:00:00Z");
    const auto known = hours(start, {1, 2, 3, 4});
    const std::vector<TariffSlot> news{{.start = start + 90min, .end = start + 150min, .import_price = 9}};

    const auto result = overlaid(known, news);

    REQUIRE(result.size() == 5);
    CHECK(is_orderly(result));
    CHECK(result[1].end == start + 90min);
    CHECK(result[2].import_price == 9);
    CHECK(result[3].start == start + 150min);
    CHECK(result[3].import_price == 3);
    CHECK(overlaid(known, {}) == known);
    CHECK(overlaid({}, known) == known);
}

TEST_CASE("slots: whatever comes in, the outcome is in order and knows every instant that was known") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> minute(0, 600);
    const auto start = at("2026-06-01T00:00:00Z");
    const auto any_slots = [&](int count) {
        std::vector<TariffSlot> slots;
        for (int i = 0; i < count; ++i) {
            const auto begin = start + std::chrono::minutes(minute(random));
            slots.push_back(
                {.start = begin, .end = begin + std::chrono::minutes(minute(random) / 8), .import_price = i});
        }
        return in_order(slots);
    };
    for (int round = 0; round < 200; ++round) {
        const auto known = any_slots(20);
        const auto news = any_slots(8);
        const auto result = overlaid(known, news);
        REQUIRE(is_orderly(known));
        REQUIRE(is_orderly(result));
        for (int i = 0; i < 700; ++i) {
            const auto time = start + std::chrono::minutes(i);
            const auto* const expected = slot_at(news, time) != nullptr ? slot_at(news, time) : slot_at(known, time);
            const auto* const got = slot_at(result, time);
            REQUIRE((got == nullptr) == (expected == nullptr));
            REQUIRE((got == nullptr || got->import_price == expected->import_price));
        }
    }
}

TEST_CASE("tariff: import of one source and export of another make one, cut at all borders") {
    const auto start = at("2026-06-01T00:00:00Z");
    const auto market = hours(start, {0.1, 0.2});
    const std::vector<TariffSlot> feed_in{{.start = start + 30min, .end = start + 5h, .export_price = 0.08}};

    const auto state = combine_tariffs({{.name = "spot", .currency = "EUR", .slots = market, .is_fresh = true},
                                        {.name = "feed-in", .currency = {}, .slots = feed_in, .is_fresh = true}},
                                       start + 40min);

    REQUIRE(state.slots.size() == 3);
    CHECK(state.slots[0] ==
          TariffSlot{.start = start + 30min, .end = start + 1h, .import_price = 0.1, .export_price = 0.08});
    CHECK(state.slots[1].import_price == 0.2);
    CHECK_FALSE(state.slots[2].import_price);
    CHECK(state.slots[2].end == start + 5h);
    CHECK(state.import_price == 0.1);
    CHECK(state.export_price == 0.08);
    CHECK(state.currency == "EUR");
    CHECK(state.quality == "ok");
    CHECK(state.missing.empty());
}

TEST_CASE("tariff: the quality says what is missing or old") {
    const auto start = at("2026-06-01T00:00:00Z");
    const auto market = hours(start, {0.1, 0.2});
    const std::vector<TariffSlot> none;
    const auto quality = [&](bool is_fresh, contract::WallTime now, const std::vector<TariffSlot>& other) {
        return combine_tariffs({{.name = "a", .currency = {}, .slots = market, .is_fresh = is_fresh},
                                {.name = "b", .currency = {}, .slots = other, .is_fresh = true}},
                               now);
    };

    CHECK(quality(true, start, none).quality == "partial");
    CHECK(quality(true, start, none).missing == std::vector<std::string>{"b"});
    CHECK(quality(false, start, none).quality == "stale");
    CHECK(quality(false, start, none).import_price == 0.1);  // announced, so still true
    CHECK(quality(true, start - 1h, none).quality == "stale");
    CHECK(quality(true, start - 1h, none).missing == std::vector<std::string>{"a", "b"});
    CHECK(quality(true, start + 2h, none).quality == "error");
    CHECK(quality(true, start + 2h, none).slots.empty());
    CHECK(quality(true, start, market).quality == "ok");
}

TEST_CASE("tariff: a source in another currency is not mixed in") {
    const auto start = at("2026-06-01T00:00:00Z");
    const auto market = hours(start, {0.1});
    const std::vector<TariffSlot> feed_in{{.start = start, .end = start + 1h, .export_price = 0.9}};

    const auto state = combine_tariffs({{.name = "a", .currency = "EUR", .slots = market, .is_fresh = true},
                                        {.name = "b", .currency = "SEK", .slots = feed_in, .is_fresh = true}},
                                       start);

    CHECK_FALSE(state.export_price);
    CHECK(state.missing == std::vector<std::string>{"b"});
    CHECK(state.quality == "partial");
}

TEST_CASE("tariff: open ends are cut to what can be shown, and no state is endless") {
    const auto now = at("2026-06-01T10:00:00Z");
    const std::vector<TariffSlot> forever{
        {.start = contract::WallTime::min(), .end = contract::WallTime::max(), .import_price = 0.2}};

    const auto state = combine_tariffs({{.name = "a", .currency = {}, .slots = forever, .is_fresh = true}}, now);

    REQUIRE(state.slots.size() == 1);
    CHECK(state.slots[0].end - now > 48h);
    CHECK(contract::from_json<contract::TariffState>(contract::to_json(state)).slots == state.slots);

    std::vector<TariffSlot> minutes;
    for (int i = 0; i < 1000; ++i) {
        minutes.push_back({.start = now + i * 1min, .end = now + (i + 1) * 1min, .import_price = i * 0.001});
    }
    CHECK(combine_tariffs({{.name = "a", .currency = {}, .slots = minutes, .is_fresh = true}}, now).slots.size() ==
          max_slots);
}

TEST_CASE("tariff: joined sources keep open ends") {
    const std::vector<TariffSlot> forever{
        {.start = contract::WallTime::min(), .end = contract::WallTime::max(), .import_price = 0.2}};
    const auto start = at("2026-06-01T00:00:00Z");
    const auto result =
        joined({{.currency = "GBP", .slots = forever},
                {.currency = "GBP", .slots = {{.start = start, .end = start + 1h, .export_price = 0.15}}}});

    REQUIRE(result.slots.size() == 3);
    CHECK(result.slots[1].import_price == 0.2);
    CHECK(result.slots[1].export_price == 0.15);
    CHECK(result.slots[2].end == contract::WallTime::max());
}

TEST_CASE("tariff: tomorrow's prices are asked for soon after they are announced, and then until they are there") {
    const test::Zone zone;
    const WebTariff tariff{.interval = 6h, .announced_min = 13 * 60};
    const auto end_of_today = at("2026-06-02T00:00:00+02:00");
    const auto pause = [&](const char* now, contract::WallTime known_until) {
        return pause_until_news(tariff, known_until, at(now));
    };

    CHECK(pause("2026-06-01T02:00:00+02:00", end_of_today) == 6h);
    CHECK(pause("2026-06-01T12:00:00+02:00", end_of_today) == 61min);
    CHECK(pause("2026-06-01T13:05:00+02:00", end_of_today) == 15min);
    CHECK(pause("2026-06-01T23:59:00+02:00", end_of_today) == 15min);
    CHECK(pause("2026-06-01T13:05:00+02:00", end_of_today + 24h) == 6h);
    CHECK(pause("2026-06-01T13:05:00+02:00", end_of_today + 23h) == 6h);  // Lisbon's day ends an hour later
    CHECK(pause("2026-06-01T13:05:00+02:00", contract::WallTime::max()) == 6h);
}
