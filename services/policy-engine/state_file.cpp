#include "policy-engine/state_file.hpp"

#include <fmt/format.h>

#include "contract/timestamp.hpp"
#include "policy-engine/plan_goal.hpp"
#include "policy-engine/settings.hpp"
#include "storage/atomic_file.hpp"

namespace policy_engine {

namespace {

constexpr int file_schema = 1;

// Throws what plans_from_json and the JSON library throw.
std::map<std::string, std::vector<KeptPlan>> pursued_from_json(const nlohmann::json& json) {
    std::map<std::string, std::vector<KeptPlan>> pursued;
    for (const auto& [charger, plans] : json.items()) {
        for (const auto& plan : plans) {
            const auto deadline = contract::parse_timestamp(plan.at("deadline").get<std::string>());
            const auto charged_kwh = plan.at("charged_kwh").get<double>();
            if (!deadline || !(charged_kwh >= 0)) {
                throw contract::Invalid(
                    fmt::format("pursued.{}: expected a time as deadline and an energy as charged_kwh", charger));
            }
            pursued[charger].push_back({.goal = plans_from_json(nlohmann::json::array({plan.at("goal")})).at(0),
                                        .deadline = *deadline,
                                        .charged_kwh = charged_kwh});
        }
    }
    return pursued;
}

KeptState from_json(const nlohmann::json& json, const Settings& defaults, WallTime now,
                    std::vector<std::string>& problems) {
    if (!json.is_object() || json.value("schema", 0) != file_schema) {
        throw contract::Invalid(fmt::format("expected an object with \"schema\": {}", file_schema));
    }
    KeptState state{.settings = defaults};
    problems = settings_from_json(state.settings, json.value("settings", nlohmann::json::object()));
    const auto more = overrides_from_json(state.settings, json.value("overrides", nlohmann::json::object()), now);
    problems.insert(problems.end(), more.begin(), more.end());
    try {
        state.pursued = pursued_from_json(json.value("pursued", nlohmann::json::object()));
    } catch (const std::exception& error) {
        problems.push_back(fmt::format("what was charged towards the plans is not known: {}", error.what()));
    }
    state.next_seq = json.value("next_seq", std::int64_t{0});
    state.starts_day = json.value("starts_day", 0);
    state.starts = json.value("starts", std::map<std::string, int>());
    return state;
}

nlohmann::json pursued_to_json(const KeptState& state) {
    auto json = nlohmann::json::object();
    for (const auto& [charger, plans] : state.pursued) {
        for (const auto& plan : plans) {
            json[charger].push_back({{"goal", plan_to_json(plan.goal)},
                                     {"deadline", contract::format_timestamp(plan.deadline)},
                                     {"charged_kwh", plan.charged_kwh}});
        }
    }
    return json;
}

}  // namespace

std::string to_text(const KeptState& state) {
    const nlohmann::json json{{"schema", file_schema},
                              {"settings", settings_to_json(state.settings)},
                              {"overrides", overrides_to_json(state.settings)},
                              {"starts_day", state.starts_day},
                              {"starts", state.starts},
                              {"pursued", pursued_to_json(state)},
                              {"next_seq", state.next_seq}};
    return json.dump(2) + "\n";
}

Restored restore(const std::filesystem::path& file, const Settings& defaults, WallTime now) {
    Restored restored{.state = {.settings = defaults}};
    if (file.empty()) {
        return restored;
    }
    try {
        const auto text = storage::read_if_present(file);
        if (text) {
            restored.state = from_json(nlohmann::json::parse(*text), defaults, now, restored.problems);
        }
    } catch (const storage::StorageError& error) {
        restored.problems.push_back(fmt::format("{}; starting with the configured defaults", error.what()));
    } catch (const std::exception& error) {
        const std::filesystem::path aside = file.string() + ".corrupt";
        std::error_code failure;
        std::filesystem::rename(file, aside, failure);
        restored.state = {.settings = defaults};
        restored.problems = {fmt::format(
            "{} is not usable ({}); {}, starting with the configured defaults", file.string(), error.what(),
            failure ? "it could not be moved aside: " + failure.message() : "it is kept as " + aside.string())};
    }
    return restored;
}

}  // namespace policy_engine
