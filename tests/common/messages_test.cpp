#include "contract/messages.hpp"

#include <random>

#include <doctest/doctest.h>

#include "support/instrumented.hpp"

using namespace contract;

namespace {

class RandomJson {
public:
    explicit RandomJson(unsigned seed) : random_(seed) {}

    std::size_t below(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }

    nlohmann::json value(int depth = 0) {
        switch (below(depth < 3 ? 9 : 7)) {
            case 0:
                return nullptr;
            case 1:
                return below(2) == 0;
            case 2:
                return number();
            case 3:
                return static_cast<std::int64_t>(random_()) - (std::int64_t{1} << 31);
            case 4:
                return std::numeric_limits<std::uint64_t>::max() - below(3);
            case 5:
                return text();
            case 6:
                return "2026-02-29T25:00:00Z";
            case 7:
                return list(depth);
            default:
                return object(depth);
        }
    }

    /// A valid message in which some fields were replaced, removed or added.
    nlohmann::json mutation(nlohmann::json message) {
        for (auto changes = below(4); changes > 0; --changes) {
            auto entry = message.begin();
            std::advance(entry, static_cast<std::ptrdiff_t>(below(message.size())));
            if (below(4) == 0) {
                message.erase(entry);
            } else {
                *entry = value();
            }
            if (message.empty()) {
                return value();
            }
        }
        return message;
    }

private:
    double number() {
        constexpr std::array interesting{0.0, -0.0, 1e-300, 1e300, -1e12, 80.0, 80.0001, 0.5, 600.0, 1e15};
        return below(2) == 0 ? interesting[below(interesting.size())]
                             : std::uniform_real_distribution<double>(-1e6, 1e6)(random_);
    }
    std::string text() {
        std::string result;
        for (auto length = below(12); length > 0; --length) {
            result += static_cast<char>(below(256));
        }
        return result;
    }
    nlohmann::json list(int depth) {
        auto result = nlohmann::json::array();
        for (auto length = below(5); length > 0; --length) {
            result.push_back(value(depth + 1));
        }
        return result;
    }
    nlohmann::json object(int depth) {
        auto result = nlohmann::json::object();
        for (auto length = below(5); length > 0; --length) {
            result[below(2) == 0 ? "7744" : text()] = value(depth + 1);
        }
        return result;
    }

    std::mt19937 random_;
};

// Refused or accepted, never anything else; and what is accepted can be sent on and read again.
template <class Message>
void check_random_input(unsigned seed) {
    CAPTURE(seed);
    RandomJson random(seed);
    const nlohmann::json valid = to_json(Message{});
    for (unsigned i = 0; i < support::rounds(3000); ++i) {
        const auto json = random.below(8) == 0 ? random.value() : random.mutation(valid);
        Message message{};
        try {
            message = from_json<Message>(json);
        } catch (const Invalid& refusal) {
            REQUIRE(std::string(refusal.what()) == valid_utf8(refusal.what()));
            REQUIRE(message == Message{});
            continue;
        }
        const std::string text = to_json(message).dump();
        REQUIRE(to_json(from_text<Message>(text)).dump() == text);
    }
}

template <class... Messages>
void check_all_of(unsigned seed) {
    (check_random_input<Messages>(seed), ...);
}

}  // namespace

TEST_CASE("messages: random JSON is refused or understood and changes nothing otherwise") {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        check_all_of<ServiceInfo, LimitSet, BusState, ChargerState, SitePower, SourceState, VehicleState, PolicyState,
                     PolicyChargerState, OverrideState, TariffState, ForecastState>(seed);
    }
}

TEST_CASE("messages: every message that is still unknown can be published and read back") {
    CHECK(from_json<ChargerState>(to_json(ChargerState{})) == ChargerState{});
    CHECK(from_json<SitePower>(to_json(SitePower{})) == SitePower{});
    CHECK(from_json<BusState>(to_json(BusState{})) == BusState{});
    CHECK(from_json<VehicleState>(to_json(VehicleState{})) == VehicleState{});
    CHECK(from_json<PolicyState>(to_json(PolicyState{})) == PolicyState{});
    CHECK(from_json<PolicyChargerState>(to_json(PolicyChargerState{})) == PolicyChargerState{});
    CHECK(from_json<SourceState>(to_json(SourceState{})) == SourceState{});
    CHECK(from_json<TariffState>(to_json(TariffState{})) == TariffState{});
    CHECK(from_json<ForecastState>(to_json(ForecastState{})) == ForecastState{});
}

TEST_CASE("messages: a tariff is a list of slots, and a slot without its times is refused") {
    const auto tariff = from_text<TariffState>(
        R"({"quality":"ok","import_price":-0.012,"missing":[],"slots":[{"start":"2026-06-01T10:00:00+02:00",)"
        R"("end":"2026-06-01T11:00:00+02:00","import_price":0.31}]})");
    REQUIRE(tariff.slots.size() == 1);
    CHECK(tariff.import_price == -0.012);
    CHECK(tariff.slots[0].end - tariff.slots[0].start == std::chrono::hours(1));
    CHECK_FALSE(tariff.slots[0].export_price);
    CHECK_THROWS_WITH_AS(
        from_text<TariffState>(R"({"quality":"ok","missing":[],"slots":[{"end":"2026-06-01T11:00:00Z"}]})"),
        doctest::Contains("slots[0].start"), Invalid);
}

TEST_CASE("messages: unknown is null in JSON and never 0") {
    const auto json = to_json(SitePower{});

    CHECK(json["grid_w"].is_null());
    CHECK(json["grid_a"].dump() == "[null,null,null]");
    CHECK(to_json(ChargerState{})["energy_kwh"].is_null());
}

TEST_CASE("messages: what only tells the time never counts as a change") {
    for (const auto& field : field_traits<SitePower>()) {
        CAPTURE(field.name);
        const std::string name = field.name;
        CHECK(field.is_timing == (name == "ts" || name.ends_with("age_s")));
    }
}

TEST_CASE("messages: a limit above what any Gen 2 unit can do is refused") {
    CHECK_NOTHROW(from_text<LimitSet>(R"({"ttl_s":30,"seq":0,"chargers":{"7744":80}})"));
    CHECK_THROWS_AS(from_text<LimitSet>(R"({"ttl_s":30,"seq":0,"chargers":{"7744":80.01}})"), Invalid);
    CHECK_THROWS_AS(from_text<LimitSet>(R"({"ttl_s":30,"seq":0,"chargers":{"7744":-0.01}})"), Invalid);
}
