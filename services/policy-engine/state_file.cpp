#include "policy-engine/state_file.hpp"

#include <fmt/format.h>

#include "policy-engine/settings.hpp"
#include "storage/atomic_file.hpp"

namespace policy_engine {

namespace {

constexpr int file_schema = 1;

KeptState from_json(const nlohmann::json& json, const Settings& defaults, WallTime now,
                    std::vector<std::string>& problems) {
    if (!json.is_object() || json.value("schema", 0) != file_schema) {
        throw contract::Invalid(fmt::format("expected an object with \"schema\": {}", file_schema));
    }
    KeptState state{.settings = defaults};
    problems = settings_from_json(state.settings, json.value("settings", nlohmann::json::object()));
    const auto more = overrides_from_json(state.settings, json.value("overrides", nlohmann::json::object()), now);
    problems.insert(problems.end(), more.begin(), more.end());
    state.next_seq = json.value("next_seq", std::int64_t{0});
    state.starts_day = json.value("starts_day", 0);
    state.starts = json.value("starts", std::map<std::string, int>());
    return state;
}

}  // namespace

std::string to_text(const KeptState& state) {
    const nlohmann::json json{{"schema", file_schema},
                              {"settings", settings_to_json(state.settings)},
                              {"overrides", overrides_to_json(state.settings)},
                              {"starts_day", state.starts_day},
                              {"starts", state.starts},
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
