#include "policy-engine/simulation/capture.hpp"

#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "contract/messages.hpp"

using namespace policy_engine::simulation;
using policy_engine::WallTime;
using namespace std::chrono_literals;

namespace {

// 1 June 2026, 10:00 UTC
constexpr long long ten_o_clock = 1780308000;

WallTime at(double seconds) {
    return WallTime(policy_engine::from_seconds(static_cast<double>(ten_o_clock) + seconds));
}

std::string line(double t, const std::string& topic, const std::string& payload) {
    return fmt::format("{:.3f} twc/{} {}\n", static_cast<double>(ten_o_clock) + t, topic, payload);
}

std::string site(double t, double grid_w, double pv_w, double house_w) {
    return line(
        t, "ems/state",
        fmt::format(R"({{"grid_w":{},"pv_w":{},"house_w":{},"quality":"ok","missing":[]}})", grid_w, pv_w, house_w));
}

Recording read(const std::string& text, const CaptureOptions& options = {}) {
    std::istringstream stream(text);
    return read_capture(stream, "day.txt", options);
}

std::string problem(const std::string& text, const CaptureOptions& options = {}) {
    try {
        read(text, options);
        return "";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

std::string line_problem(const std::string& text) {
    try {
        parse_capture_line(text);
        return "";
    } catch (const contract::Invalid& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("capture: a line is read in every format of mosquitto_sub") {
    // As mosquitto_sub 2.0.11 printed them.
    for (const char* text :
         {"1780308000.250000000 twc/ems/state {\"pv_w\":12}", "1780308000.25 twc/ems/state {\"pv_w\":12}",
          "2026-06-01T12:00:00.250+0200 twc/ems/state {\"pv_w\":12}",
          "2026-06-01T10:00:00.25Z twc/ems/state {\"pv_w\":12}",
          R"({"tst":"2026-06-01T12:00:00.250842Z+0200","topic":"twc/ems/state","qos":0,"retain":0,)"
          R"("payloadlen":11,"payload":"{\"pv_w\":12}"})",
          R"({"tst":"2026-06-01T10:00:00.250842Z+0000","topic":"twc/ems/state","qos":0,"retain":0,)"
          R"("payloadlen":11,"payload":{"pv_w":12}})",
          R"({"tst":1780308000.25,"topic":"twc/ems/state","payload":"{\"pv_w\":12}"})"}) {
        CAPTURE(text);
        const auto parsed = parse_capture_line(text);
        CHECK(std::chrono::abs(parsed.at - at(0.25)) < 1ms);
        CHECK(parsed.topic == "twc/ems/state");
        CHECK(parsed.payload == "{\"pv_w\":12}");
    }
    CHECK(parse_capture_line("2026-06-01T12:00:00+0200 a b c").at == at(0));
    CHECK(parse_capture_line("1780308000 a b c").payload == "b c");
    CHECK(parse_capture_line("1780308000 a ").payload.empty());
    CHECK(parse_capture_line("1780308000 a").payload.empty());
    CHECK(parse_capture_line(R"({"tst":"2026-06-01T10:00:00Z+0000","topic":"a","payload":null})").payload.empty());
}

TEST_CASE("capture: a line that is none says what was expected") {
    CHECK(contains(line_problem("twc/ems/state {}"), "\"twc/ems/state\" is not a time"));
    CHECK(contains(line_problem("twc/ems/state {}"), "mosquitto_sub -t 'twc/#' -F '%U %t %p'"));
    CHECK(contains(line_problem("}"), "expected time, topic and payload"));
    CHECK(contains(line_problem("1e99 a b"), "is not a time"));
    CHECK(contains(line_problem("+0100 a b"), "is not a time"));
    CHECK(contains(line_problem("Z+0100 a b"), "is not a time"));
    CHECK(contains(line_problem("-5 a b"), "is not a time"));
    CHECK(contains(line_problem("2026-06-01T12:00:00 a b"), "is not a time"));
    CHECK(contains(line_problem("{\"tst\":1"), "JSON"));
    CHECK(contains(line_problem("{\"tst\":1,\"topic\":\"a\"}"), "no \"payload\""));
    CHECK(contains(line_problem("{\"tst\":true,\"topic\":\"a\",\"payload\":\"\"}"), "tst"));
    CHECK(contains(line_problem("{\"tst\":1e30,\"topic\":\"a\",\"payload\":\"\"}"), "tst"));
    CHECK(contains(line_problem("\x1b[31m a b"), "?[31m"));
}

TEST_CASE("capture: what the chargers draw is taken out of the house") {
    const auto day =
        read(line(0.1, "charger/7744/state", R"({"state":"charging","plugged":true,"power_w":1400})") +
             line(0.1, "charger/7745/state", R"({"state":"charging","current_a":10,"phases":3,"voltage_l1_v":231})") +
             site(0.2, -1000, 10000, 9000) + site(2.9, -500, 9000, 8500));

    CHECK(day.start == at(0));
    REQUIRE(day.seconds.size() == 3);
    CHECK(day.seconds[0].pv_w == 10000);
    CHECK(day.seconds[0].load_w == doctest::Approx(9000 - 1400 - 6930));
    CHECK(day.seconds[1].load_w == day.seconds[0].load_w);
    CHECK(day.seconds[2].pv_w == 9000);
    CHECK(!day.seconds[0].battery_w);
    CHECK(day.chargers.at("7744").plugged == std::vector<Span>{{0, 3}});
    CHECK(day.chargers.at("7744").drawn_kwh == doctest::Approx(2 * 1400 / 3.6e6));
    CHECK(day.gaps.empty());
    CHECK(day.messages == 4);
}

TEST_CASE("capture: what is not measured follows from the rest") {
    const auto first = [](const std::string& payload) {
        const auto day = read(line(0, "ems/state", payload));
        return std::pair(day.seconds[0].pv_w, day.seconds[0].load_w);
    };
    CHECK(first(R"({"grid_w":-1000,"pv_w":3000,"battery_w":500,"quality":"ok","missing":[]})") ==
          std::pair(3000.0, 2500.0));
    CHECK(first(R"({"grid_w":-1000,"house_w":2000,"battery_w":-500,"quality":"ok","missing":[]})") ==
          std::pair(3500.0, 2000.0));
    CHECK(first(R"({"pv_w":3000,"house_w":2000,"quality":"partial","missing":[]})") == std::pair(3000.0, 2000.0));
    CHECK(first(R"({"grid_w":-1000,"quality":"ok","missing":[]})") == std::pair(1000.0, 0.0));
    CHECK(first(R"({"grid_w":700,"quality":"ok","missing":[]})") == std::pair(0.0, 700.0));
    const auto day = read(line(0, "ems/state", R"({"grid_w":700,"quality":"ok","missing":[]})"));
    REQUIRE(day.remarks.size() == 1);
    CHECK(contains(day.remarks[0], "grid power alone"));
}

TEST_CASE("capture: gaps are bridged, reported, and refused when too long") {
    const std::string one = site(0, 0, 1000, 1000);
    CHECK(read(one + site(61, 0, 2000, 1000)).gaps.empty());
    CHECK(read(one + site(61, 0, 2000, 1000)).seconds[60].pv_w == 1000);

    const auto bridged = read(one + site(200, 0, 3000, 1000));
    REQUIRE(bridged.gaps.size() == 1);
    CHECK(bridged.gaps[0] == Gap{at(1), 199});
    CHECK(bridged.seconds.size() == 201);
    CHECK(bridged.seconds[100].pv_w == doctest::Approx(2000));

    const auto refused = problem(one + "\n" + site(2000, 0, 3000, 1000));
    CHECK(contains(refused, "day.txt:3: no usable twc/ems/state for 1999 s, since line 1"));
    CHECK(contains(refused, "--max-gap"));
    CHECK(problem(one + site(2000, 0, 3000, 1000), {.longest_gap_s = 2000}).empty());
}

TEST_CASE("capture: stale values are as good as none") {
    const auto day =
        read(site(0, 0, 1000, 1000) + line(50, "ems/state", R"({"grid_w":9,"pv_w":9,"quality":"stale","missing":[]})") +
             line(60, "ems/state", R"({"quality":"ok","missing":[]})") + site(100, 0, 1000, 1000));
    CHECK(day.seconds.size() == 101);
    CHECK(day.seconds[70].pv_w == 1000);
    CHECK(day.gaps.size() == 1);
    REQUIRE(day.remarks.size() == 1);
    CHECK(day.remarks[0] == "2 messages held no usable power");
}

TEST_CASE("capture: a charger that falls silent counts as drawing nothing, and that is said") {
    std::string text = line(0, "charger/7744/state", R"({"state":"charging","power_w":500})");
    for (int t = 0; t < 300; t += 10) {
        text += site(t, 0, 1000, 1000);
    }
    const auto day = read(text);
    CHECK(day.seconds[80].load_w == 500);
    CHECK(day.seconds[100].load_w == 1000);
    REQUIRE(day.remarks.size() == 1);
    CHECK(contains(day.remarks[0], "charger 7744 was not heard"));
}

TEST_CASE("capture: one bad line is reported and skipped") {
    const auto day = read(
        site(0, 0, 1, 2) + "rubbish\n" + line(1, "ems/state", "{\"grid_w\":\"x\",\"quality\":\"ok\",\"missing\":[]}") +
        "\n" + line(1, "charger/A!/state", "{}") + line(1, "policy/state", "{") + site(-60, 0, 1, 2) +
        line(1, "ems/state", "") +
        line(1, "charger/7744/state", R"({"ts":"2026-06-01T01:00:00Z","state":"charging"})") + site(2, 0, 5, 2));
    CHECK(day.seconds.size() == 3);
    CHECK(day.seconds[2].pv_w == 5);
    CHECK(day.skipped_lines == 5);
    CHECK(day.other_topics == 1);
    REQUIRE(day.problems.size() == 5);
    CHECK(contains(day.problems[0], "day.txt:2: \"rubbish\": expected time, topic and payload"));
    CHECK(contains(day.problems[1], "day.txt:3: twc/ems/state: grid_w"));
    CHECK(contains(day.problems[2], "day.txt:5: topic twc/charger/A!/state"));
    CHECK(contains(day.problems[3], "day.txt:7: "));
    CHECK(contains(day.problems[3], "expected time to go forward"));
    CHECK(contains(day.problems[4], "a state the broker had kept"));
    CHECK(day.chargers.empty());
}

TEST_CASE("capture: a file that is of no use is refused with the reason") {
    CHECK(contains(problem(""), "day.txt: none of 0 lines"));
    const auto other_base = problem("1780308000 home/ems/state {\"grid_w\":1,\"quality\":\"ok\",\"missing\":[]}\n");
    CHECK(contains(other_base, "usable twc/ems/state"));
    CHECK(contains(other_base, "1 of other topics"));
    CHECK(contains(problem("twc/ems/state {}\n"), "day.txt:1: \"twc/ems/state\" is not a time"));
    CHECK(contains(problem(std::string(3U << 20U, 'x')), "longer than 1 MiB"));
}

TEST_CASE("capture: another base topic, and a part of the time") {
    std::string text;
    for (int t = 0; t < 100; ++t) {
        text += fmt::format("{} sites/home/ems/state {{\"grid_w\":0,\"pv_w\":{},\"quality\":\"ok\",\"missing\":[]}}\n",
                            ten_o_clock + t, t);
    }
    const auto day = read(text, {.base_topic = "sites/home", .from = at(20), .to = at(50)});
    CHECK(day.start == at(20));
    CHECK(day.seconds.size() == 30);
    CHECK(day.seconds.front().pv_w == 20);
    CHECK(day.seconds.back().pv_w == 49);
    CHECK(contains(problem(text, {.base_topic = "sites/home", .from = at(500)}), "in the time asked for"));
}

TEST_CASE("capture: later news of a price replaces earlier news") {
    const auto slot = [](int from_h, int to_h, double price) {
        return fmt::format(R"({{"start":"2026-06-01T{:02}:00:00Z","end":"2026-06-01T{:02}:00:00Z","import_price":{}}})",
                           from_h, to_h, price);
    };
    const auto tariff = [&](const std::string& slots) {
        return line(0, "ems/tariff/state", R"({"currency":"EUR","quality":"ok","missing":[],"slots":[)" + slots + "]}");
    };
    const auto day = read(tariff(slot(10, 12, 0.1) + "," + slot(12, 14, 0.2)) + tariff(slot(11, 13, 0.3)) +
                          tariff(slot(15, 15, 0.3)) + site(0, 0, 0, 0));
    CHECK(day.currency == "EUR");
    CHECK(day.skipped_lines == 1);
    REQUIRE(day.tariff.size() == 2);
    CHECK(day.tariff[0].end == at(3600));
    CHECK(day.tariff[1].import_price == 0.3);
    CHECK(day.tariff[1].start == at(3600));
}

TEST_CASE("capture: plugging and the charge of a car are recorded") {
    const auto charger = [](double t, bool plugged) {
        return line(t, "charger/7744/state",
                    fmt::format(R"({{"state":"ready","plugged":{},"phases":3,"max_a":32,"vin":"V"}})", plugged));
    };
    const auto day =
        read(charger(-5, false) + line(-4, "vehicle/blue/state", R"({"soc_pct":40,"vin":"V","can_command":false})") +
             site(0, 0, 0, 0) + charger(10, true) +
             line(12, "vehicle/blue/state", R"({"soc_pct":41,"charge_limit_pct":80,"vin":"V","can_command":false})") +
             site(30, 0, 0, 0) + charger(40, false) + site(50, 0, 0, 0));
    const auto& recorded = day.chargers.at("7744");
    CHECK(recorded.plugged == std::vector<Span>{{10, 40}});
    CHECK(recorded.phases == 3);
    CHECK(recorded.vin == "V");
    const auto& vehicle = day.vehicles.at("blue");
    CHECK(vehicle.soc_pct == std::vector<std::pair<std::size_t, double>>{{0, 40}, {12, 41}});
    CHECK(vehicle.charge_limit_pct == 80);
}
