#include <algorithm>
#include <filesystem>
#include <regex>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "config/section.hpp"
#include "simulation/simulated_stack.hpp"
#include "support/discovery_check.hpp"
#include "support/template_subset.hpp"

using namespace std::chrono_literals;
using nlohmann::json;
using Form = service::HomeAssistantSettings::Form;

namespace {

/// The stack, and what a Home Assistant that listens would know.
struct AnnouncedStack {
    explicit AnnouncedStack(Form form, int units = 1) : stack({.units = units, .home_assistant = {.form = form}}) {
        stack.broker().tap([this](const std::string&, const messaging::Publication& publication) {
            const bool is_event =
                publication.topic.ends_with("/event") && publication.topic.starts_with("twc/charger/");
            if (is_event) {
                events[publication.topic].insert(json::parse(publication.payload).at("event_type").get<std::string>());
            }
        });
    }

    support::Announced announced() {
        support::Announced all;
        all.retained = [this](const std::string& topic) { return stack.broker().retained(topic); };
        all.is_heard = [this](const std::string& topic) { return stack.broker().is_heard(topic); };
        all.events = events;
        for (const auto& [topic, payload] : stack.broker().all_retained()) {
            if (topic.starts_with("homeassistant/") && topic != "homeassistant/status") {
                all.documents.emplace(topic, payload);
            }
        }
        return all;
    }

    std::string problems() { return fmt::format("{}", fmt::join(support::discovery_problems(announced()), "\n")); }

    /// What Home Assistant shows for an entity; empty: there is none.
    std::string state_of(const std::string& entity_id) {
        for (const auto& entity : support::announced_entities(announced())) {
            if (entity.config.at("default_entity_id") == entity_id) {
                const auto payload = stack.broker().retained(entity.config.at("state_topic").get<std::string>());
                return support::evaluate_template(entity.config.at("value_template").get<std::string>(),
                                                  json::parse(payload.value_or("{}")));
            }
        }
        return "";
    }

    /// Does what Home Assistant does when somebody sets, presses or switches an entity.
    void command(const std::string& entity_id, const std::string& payload) {
        for (const auto& entity : support::announced_entities(announced())) {
            if (entity.config.at("default_entity_id") == entity_id) {
                const auto topic = entity.config.at("command_topic").get<std::string>();
                stack.publish(topic.substr(std::string("twc/").size()), payload);
                stack.run_for(2s);
                return;
            }
        }
        FAIL("no entity ", entity_id);
    }

    std::map<std::string, std::set<std::string>> events;
    SimulatedStack stack;
};

std::set<std::string> entity_ids(AnnouncedStack& house) {
    std::set<std::string> ids;
    for (const auto& entity : support::announced_entities(house.announced())) {
        ids.insert(entity.config.at("default_entity_id").get<std::string>());
    }
    return ids;
}

// What a dashboard or blueprint names: "entity: sensor.x", "- entity: …", "entities: [- sensor.x]", templates.
std::set<std::string> named_entities(const std::string& text) {
    static const std::regex pattern(R"(\b(sensor|binary_sensor|number|select|switch|button|event)\.([a-z0-9_]+)\b)");
    std::set<std::string> names;
    for (std::sregex_iterator at(text.begin(), text.end(), pattern); at != std::sregex_iterator(); ++at) {
        names.insert(at->str());
    }
    return names;
}

std::string deployed(const std::string& file) {
    return config::read_file(std::filesystem::path(SOURCE_DIR) / "deploy" / "home-assistant" / file);
}

}  // namespace

TEST_CASE("home assistant: in either form every document of the whole stack obeys every rule") {
    Form form = Form::entity;
    SUBCASE("entity form") {}
    SUBCASE("device form") { form = Form::device; }
    AnnouncedStack house(form, 2);
    house.stack.run_for(1min);
    CHECK(house.problems() == "");  // before much is known
    house.stack.run_for(10min);
    CHECK(house.problems() == "");  // while cars charge
    CHECK(house.events["twc/charger/7744/event"].contains("session_started"));
    house.stack.publish("policy/override/set", "16 1h");
    house.stack.publish("policy/charger/7744/mode/set", "fast");
    house.stack.publish("policy/charger/7744/max_a/set", "10");
    house.stack.publish("policy/vehicle/car0/min_soc_pct/set", "30");
    house.stack.publish("policy/dim_w/set", "4200 2h");
    house.stack.publish("policy/max_a/set", "16");
    house.stack.run_for(1min);
    CHECK(house.problems() == "");  // with everything set
    CHECK(house.announced().documents.size() == (form == Form::device ? 11 : entity_ids(house).size()));
    for (const char* service : {"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"}) {
        house.stack.kill(service);
    }
    house.stack.run_for(1s);
    for (const char* service : {"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"}) {
        house.stack.start(service);
    }
    house.stack.run_for(2min);
    CHECK(house.problems() == "");  // after a restart
}

TEST_CASE("home assistant: both forms announce the same entities under the same unique ids") {
    AnnouncedStack one(Form::entity);
    AnnouncedStack other(Form::device);
    one.stack.run_for(1min);
    other.stack.run_for(1min);
    const auto ids = [](AnnouncedStack& house) {
        std::set<std::string> all;
        for (const auto& entity : support::announced_entities(house.announced())) {
            all.insert(entity.platform + " " + entity.config.at("unique_id").get<std::string>());
        }
        return all;
    };
    CHECK(ids(one) == ids(other));
    CHECK(ids(one).size() > 100);
}

TEST_CASE("home assistant: an energy counter is unknown before it is known, and then never falls") {
    std::map<std::string, double> highest;  // before the stack, which talks to its end
    int falls = 0;
    AnnouncedStack house(Form::entity);
    house.stack.broker().tap([&](const std::string&, const messaging::Publication& publication) {
        const auto state = json::parse(publication.payload, nullptr, false);
        if (!publication.topic.ends_with("/state") || !state.is_object()) {
            return;
        }
        for (const char* key : {"energy_kwh", "lifetime_kwh", "import_kwh", "export_kwh", "pv_kwh"}) {
            if (state.contains(key) && state[key].is_number()) {
                auto& before = highest[publication.topic + key];
                falls += state[key].get<double>() < before ? 1 : 0;
                before = std::max(before, state[key].get<double>());
            }
        }
    });
    house.stack.run_for(10min);
    for (const char* service : {"twc-bus", "ems-bridge"}) {
        house.stack.kill(service);
        house.stack.run_for(1s);
        house.stack.start(service);
        house.stack.run_for(2min);
    }
    CHECK(falls == 0);
    CHECK(highest["twc/charger/7744/stateenergy_kwh"] > 0.1);
    CHECK(highest["twc/ems/stateimport_kwh"] + highest["twc/ems/stateexport_kwh"] > 0);
}

TEST_CASE("home assistant: its knobs turn, and show what they were turned to") {
    AnnouncedStack house(Form::entity);
    house.stack.run_for(3min);
    CHECK(house.state_of("select.twc_controller_mode") == "solar");
    house.command("select.twc_controller_mode", "min_solar");
    CHECK(house.state_of("select.twc_controller_mode") == "min_solar");
    house.command("number.twc_controller_max_a", "12");
    CHECK(house.state_of("number.twc_controller_max_a") == "12.0");
    house.command("button.twc_controller_max_a_unset", "none");
    CHECK(house.state_of("number.twc_controller_max_a") == "None");
    house.command("button.twc_controller_boost_1h", "max 1h");
    CHECK(house.state_of("binary_sensor.twc_controller_override_active") == "True");
    CHECK(house.state_of("sensor.twc_controller_override_until") != "None");
    house.command("button.twc_controller_override_clear", "clear");
    CHECK(house.state_of("binary_sensor.twc_controller_override_active") == "False");
    house.command("number.twc_controller_override_a", "10");
    CHECK(house.state_of("number.twc_controller_override_a") == "10.0");
    house.command("switch.wall_connector_7744_enabled", "off");
    CHECK(house.state_of("switch.wall_connector_7744_enabled") == "False");
    house.command("select.wall_connector_7744_mode", "fast");
    CHECK(house.state_of("select.wall_connector_7744_mode") == "fast");
    house.command("select.wall_connector_7744_mode", "auto");
    CHECK(house.state_of("select.wall_connector_7744_mode") == "auto");
    house.command("number.tesla_car0_min_soc_pct", "25");
    CHECK(house.state_of("number.tesla_car0_min_soc_pct") == "25.0");
    house.command("switch.twc_bus_estop", "stop");
    CHECK(house.state_of("switch.twc_bus_estop") == "True");
    house.stack.run_for(30s);
    CHECK(house.state_of("binary_sensor.wall_connector_7744_charging") == "False");
    house.command("switch.twc_bus_estop", "release");
    CHECK(house.state_of("switch.twc_bus_estop") == "False");
}

TEST_CASE("home assistant: a form that was changed leaves nothing of the other, and off leaves nothing") {
    AnnouncedStack house(Form::entity);
    house.stack.run_for(1min);
    REQUIRE_FALSE(house.announced().documents.empty());
    const std::vector<std::string> services{"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"};
    for (const Form form : {Form::device, Form::entity, Form::off}) {
        for (const auto& service : services) {
            house.stack.kill(service);
        }
        house.stack.set_home_assistant({.form = form});
        for (const auto& service : services) {
            house.stack.start(service);
        }
        house.stack.run_for(1min);
        const auto documents = house.announced().documents;
        for (const auto& [topic, payload] : documents) {
            CHECK(topic.starts_with("homeassistant/device/") == (form == Form::device));
        }
        CHECK(documents.empty() == (form == Form::off));
        CHECK((form == Form::off ? "" : house.problems()) == "");
    }
}

TEST_CASE("home assistant: when it starts, everybody tells everything again") {
    std::set<std::string> repeated;  // before the stack, which talks to its end
    AnnouncedStack house(Form::entity);
    house.stack.run_for(1min);
    house.stack.broker().tap([&](const std::string&, const messaging::Publication& publication) {
        if (!publication.payload.empty()) {
            repeated.insert(publication.topic);
        }
    });
    const auto before = house.announced().documents;
    const auto home_assistant = house.stack.broker().connect("ha");
    home_assistant->publish({.topic = "homeassistant/status", .payload = "online", .qos = 1});
    house.stack.run_for(6s);
    for (const auto& each : before) {
        const auto& topic = each.first;
        const auto& payload = each.second;
        CAPTURE(topic);
        CHECK(repeated.contains(topic));
        const auto document = json::parse(payload);
        CHECK((!document.contains("state_topic") || topic.find("/event/") != std::string::npos ||
               repeated.contains(document["state_topic"].get<std::string>())));
    }
}

TEST_CASE("home assistant: the dashboard is YAML and names only entities that are there") {
    AnnouncedStack house(Form::entity);
    house.stack.run_for(1min);
    const auto there = entity_ids(house);
    auto text = deployed("dashboard.yaml");
    REQUIRE(YAML::Load(text)["views"].IsSequence());
    // The demo's car has a name; that of the simulated stack is car0.
    text = std::regex_replace(text, std::regex("tesla_kestrel_"), "tesla_car0_");
    const auto named = named_entities(text);
    CHECK(named.size() > 20);
    for (const auto& name : named) {
        CAPTURE(name);
        CHECK(there.contains(name));
    }
}

TEST_CASE("home assistant: the blueprints are YAML, and publish what the stack takes") {
    AnnouncedStack house(Form::entity);
    house.stack.run_for(3min);
    for (const char* file : {"blueprints/boost.yaml", "blueprints/notify.yaml"}) {
        CAPTURE(file);
        const auto text = deployed(file);
        const auto blueprint = YAML::Load(text);
        CHECK(blueprint["blueprint"]["domain"].as<std::string>() == "automation");
        CHECK(blueprint["blueprint"]["name"].IsScalar());
        REQUIRE(blueprint["trigger"].IsSequence());
        REQUIRE(blueprint["action"].IsDefined());
        // Each input that is used is declared.
        static const std::regex use(R"(!input ([a-z_]+))");
        for (std::sregex_iterator at(text.begin(), text.end(), use); at != std::sregex_iterator(); ++at) {
            CAPTURE((*at)[1].str());
            CHECK(blueprint["blueprint"]["input"][(*at)[1].str()].IsDefined());
        }
    }
    const auto boost = YAML::Load(deployed("blueprints/boost.yaml"));
    const auto defaults = boost["blueprint"]["input"];
    const auto payload = fmt::format("{} {}m", defaults["current"]["default"].as<std::string>(),
                                     defaults["minutes"]["default"].as<int>());
    house.stack.publish("policy/override/set", payload);
    house.stack.run_for(2s);
    CHECK(house.stack.state("policy/override/state").at("active") == true);
    const auto topic = defaults["topic"]["default"].as<std::string>();
    CHECK(house.stack.broker().is_heard(topic));
    // The notification is triggered by an event entity and reads what the event carries.
    const auto notify = deployed("blueprints/notify.yaml");
    CHECK(notify.find("session_ended") != std::string::npos);
    CHECK(notify.find("session_kwh") != std::string::npos);
}
