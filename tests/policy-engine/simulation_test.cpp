#include <sstream>

#include <doctest/doctest.h>

#include "policy-engine/simulation/day.hpp"
#include "policy-engine/simulation/stdio.hpp"

using namespace policy_engine::simulation;

TEST_CASE("stdio: one answer a line, with the keys that were promised") {
    LineByLine dialogue({});
    nlohmann::json answer;
    for (int t = 0; t < 90; ++t) {
        answer = nlohmann::json::parse(
            dialogue.answer(nlohmann::json{{"t", t},
                                           {"grid_w", -3700},
                                           {"voltage_v", 230},
                                           {"phases", 1},
                                           {"chargers", {{{"id", "7744"}, {"plugged", true}, {"drawn_a", 0}}}}}
                                .dump()));
    }
    CHECK(answer.at("mode") == "solar");
    CHECK(answer.contains("binding_limit"));
    REQUIRE(answer.at("chargers").size() == 1);
    CHECK(answer["chargers"][0].at("id") == "7744");
    CHECK(answer["chargers"][0].at("limit_a") == 16);
    CHECK(answer["chargers"][0].at("reason").is_string());
    CHECK(answer["chargers"][0].contains("countdown_s"));
}

TEST_CASE("stdio: a bad line gets one error and the dialogue goes on") {
    std::istringstream questions(
        "{bad\n[]\n{}\n{\"t\":\"x\"}\n{\"t\":10}\n{\"t\":9}\n\n{\"t\":10,\"chargers\":3}\n"
        "{\"t\":11,\"chargers\":[{\"id\":\"A!\"}]}\n{\"t\":11,\"chargers\":[{\"id\":\"a\"},{\"id\":\"a\"}]}\n"
        "{\"t\":12,\"grid_w\":null,\"chargers\":[{\"id\":\"a\"}]}\n");
    std::ostringstream answers;
    answer_all(questions, answers, {});
    std::istringstream lines(answers.str());
    std::vector<bool> errors;
    for (std::string line; std::getline(lines, line);) {
        errors.push_back(nlohmann::json::parse(line).contains("error"));
    }
    CHECK(errors == std::vector<bool>{true, true, true, true, false, true, true, true, true, false});
}

TEST_CASE("trace: says which line is wrong") {
    const auto problem = [](const std::string& text) -> std::string {
        std::istringstream stream(text);
        try {
            read_trace(stream, "day.csv");
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "";
    };
    CHECK(problem("t_s,pv_w,load_w\n0,1,2\n").empty());
    CHECK(problem("").find("no data") != std::string::npos);
    CHECK(problem("a,b,c\n0,1,2\n").find("day.csv:1") != std::string::npos);
    CHECK(problem("t_s,pv_w,load_w\n0,1\n").find("day.csv:2") != std::string::npos);
    CHECK(problem("t_s,pv_w,load_w\n0,1,2\n1,x,2\n").find("day.csv:3: pv_w") != std::string::npos);
    CHECK(problem("t_s,pv_w,load_w\n5,1,2\n5,1,2\n").find("does not come after") != std::string::npos);
    CHECK(problem("t_s,pv_w,load_w\n0,1,2,3\n").find("three columns") != std::string::npos);
}

TEST_CASE("trace: coarse samples hold until the next one") {
    std::istringstream stream("t_s,pv_w,load_w\r\n10,100,1\r\n13,200,2\r\n");
    const auto day = read_trace(stream, "x");
    REQUIRE(day.size() == 4);
    CHECK(day[2].pv_w == 100);
    CHECK(day[3].pv_w == 200);
}

TEST_CASE("trace: the metrics add up") {
    const std::vector<Second> day(7200, Second{4000, 320});
    const policy_engine::ServiceConfig config;
    const auto options = options_for(config);
    const auto metrics = run_day(day, options, engine_law(config, options));
    CHECK(metrics.surplus_kwh == doctest::Approx(2 * 3.68));
    CHECK(metrics.solar_kwh + metrics.exported_kwh == doctest::Approx(metrics.surplus_kwh));
    CHECK(metrics.starts == 1);
    CHECK(metrics.solar_kwh > 0.95 * metrics.surplus_kwh);
    CHECK(metrics.bound_relaxed_kwh == doctest::Approx(metrics.surplus_kwh));
    const auto json = to_json(metrics);
    CHECK(json.at("self_sufficiency").get<double>() > 0.99);
    CHECK(json.at("seconds_over_limit") == 0);
}
