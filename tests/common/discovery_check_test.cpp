#include "support/discovery_check.hpp"

#include <doctest/doctest.h>

#include "support/template_subset.hpp"

using nlohmann::json;
using support::Announced;
using support::evaluate_template;

namespace {

// A sensor that nobody can find fault with.
json good_sensor() {
    return json::parse(R"({
        "name": "Power", "unique_id": "twc_home_x_power", "object_id": "x_power", "default_entity_id": "sensor.x_power",
        "state_topic": "twc/x/state", "value_template": "{{ value_json.power }}",
        "device_class": "power", "unit_of_measurement": "W", "state_class": "measurement",
        "device": {"identifiers": ["twc_home_x"], "name": "X"}, "origin": {"name": "twc-mqtt"},
        "availability": [{"topic": "twc/status"}], "availability_mode": "all"})");
}

json good(const std::string& platform) {
    json entity = good_sensor();
    for (const char* key : {"device_class", "unit_of_measurement", "state_class"}) {
        entity.erase(key);
    }
    entity["default_entity_id"] = platform + ".x_power";
    if (platform != "binary_sensor" && platform != "event") {
        entity["command_topic"] = "twc/x/set";
    }
    if (platform == "number") {
        entity.update({{"min", 0}, {"max", 100}, {"step", 1}, {"mode", "box"}});
    } else if (platform == "select") {
        entity.update({{"options", {"a", "b"}}, {"value_template", "{{ value_json.word }}"}});
    } else if (platform == "switch") {
        entity.update({{"state_on", "True"}, {"state_off", "False"}, {"value_template", "{{ value_json.flag }}"}});
    } else if (platform == "binary_sensor") {
        entity.update({{"payload_on", "True"}, {"payload_off", "False"}, {"value_template", "{{ value_json.flag }}"}});
    } else if (platform == "button") {
        entity.erase("state_topic");
        entity.erase("value_template");
    } else if (platform == "event") {
        entity.erase("value_template");
        entity.update({{"event_types", {"plugged"}}, {"state_topic", "twc/x/event"}});
    }
    return entity;
}

Announced world_of(std::map<std::string, std::string> documents) {
    return {.documents = std::move(documents),
            .retained = [](const std::string& topic) -> std::optional<std::string> {
                if (topic == "twc/status") {
                    return "online";
                }
                if (topic == "twc/x/state") {
                    return R"({"power":50,"word":"a","flag":true,"none":null,"time":"2026-06-21T12:00:00+02:00"})";
                }
                return std::nullopt;
            },
            .is_heard = [](const std::string& topic) { return topic == "twc/x/set"; }};
}

std::string problems(const std::string& platform, const json& entity) {
    const auto found =
        support::discovery_problems(world_of({{"homeassistant/" + platform + "/twc-bus/x/config", entity.dump()}}));
    std::string all;
    for (const auto& problem : found) {
        all += problem.substr(problem.find(": ") + 2) + "; ";
    }
    return all;
}

// The problem that one changed key makes.
std::string with(const std::string& platform, const json& changes) {
    json entity = platform == "sensor" ? good_sensor() : good(platform);
    entity.merge_patch(changes);  // null removes a key
    return problems(platform, entity);
}

}  // namespace

TEST_CASE("discovery check: what is right is left in peace") {
    CHECK(problems("sensor", good_sensor()) == "");
    for (const char* platform : {"binary_sensor", "number", "select", "switch", "button", "event"}) {
        CAPTURE(platform);
        CHECK(problems(platform, good(platform)) == "");
    }
}

TEST_CASE("discovery check: each platform has keys it needs and none it does not know") {
    CHECK(with("sensor", {{"state_topic", nullptr}}).find("state_topic is missing") == 0);
    CHECK(with("number", {{"command_topic", nullptr}}) == "command_topic is missing; ");
    CHECK(with("select", {{"options", nullptr}}).find("options is missing") == 0);
    CHECK(with("event", {{"event_types", nullptr}}) == "event_types is missing; ");
    CHECK(with("sensor", {{"entity_registry_enabled_default", false}}) ==
          "entity_registry_enabled_default is no key of a sensor; ");
    CHECK(with("number", {{"expire_after", 30}}) == "expire_after is no key of a number; ");
    CHECK(problems("climate", good_sensor()) == "platform climate is not known; ");
    CHECK(with("switch", {{"state_topic", nullptr}}) == "state_topic is missing: Home Assistant would guess; ");
}

TEST_CASE("discovery check: class, unit and state class go together") {
    CHECK(with("sensor", {{"unit_of_measurement", "A"}}) == "unit A is none of device_class power; ");
    CHECK(with("sensor", {{"unit_of_measurement", nullptr}}) == "unit  is none of device_class power; ");
    CHECK(with("sensor", {{"device_class", "duration"}, {"unit_of_measurement", "m"}}) ==
          "unit m is none of device_class duration; ");
    CHECK(with("sensor", {{"device_class", "energy"}, {"unit_of_measurement", "kWh"}}) ==
          "state_class measurement is impossible with device_class energy; ");
    CHECK(with("sensor", {{"device_class", "amps"}}) == "device_class amps does not exist; ");
    CHECK(with("sensor", {{"device_class", nullptr}, {"state_class", "rising"}}) ==
          "state_class rising does not exist; ");
    CHECK(with("sensor", {{"last_reset_value_template", "{{ value_json.time }}"}}) ==
          "last_reset_value_template without state_class total; ");
    CHECK(with("number", {{"device_class", "power"}, {"unit_of_measurement", "A"}}) ==
          "unit A is none of device_class power; ");
    CHECK(with("binary_sensor", {{"device_class", "charging"}}) ==
          "device_class charging is none of a binary sensor; ");
    CHECK(with("sensor", {{"device_class", "energy"},
                          {"unit_of_measurement", "kWh"},
                          {"state_class", "total"},
                          {"last_reset_value_template", "{{ value_json.none }}"}}) == "last reset None is no time; ");
}

TEST_CASE("discovery check: options are for enums and never say unknown") {
    const json enumeration{{"device_class", "enum"},
                           {"unit_of_measurement", nullptr},
                           {"state_class", nullptr},
                           {"value_template", "{{ value_json.word }}"}};
    json right = enumeration;
    right["options"] = {"a", "b"};
    CHECK(with("sensor", right) == "");
    CHECK(with("sensor", {{"options", {"a"}}}) == "options and device_class enum go together; ");
    CHECK(with("sensor", enumeration) == "options and device_class enum go together; state a is none of the options; ");
    right["options"] = {"a", "unknown", "a"};
    CHECK(with("sensor", right) == "unknown is no option; options names a word twice; ");
    CHECK(with("select", {{"options", {"b"}}}) == "state a is none of the options; ");
    CHECK(with("select", {{"options", json::array()}}).find("options is no list of words") == 0);
}

TEST_CASE("discovery check: null is unknown to a number, and the word None in a text") {
    CHECK(with("sensor", {{"value_template", "{{ value_json.none }}"}}) == "");
    json text{{"device_class", nullptr},
              {"unit_of_measurement", nullptr},
              {"state_class", nullptr},
              {"value_template", "{{ value_json.none }}"}};
    CHECK(with("sensor", text) == "the state None is shown as that word; ");
    text["value_template"] = "{{ value_json.none | default('none', true) }}";
    CHECK(with("sensor", text) == "");
    text["device_class"] = "timestamp";
    text["value_template"] = "{{ value_json.none }}";
    CHECK(with("sensor", text) == "");
}

TEST_CASE("discovery check: ids are made of what Home Assistant takes and say the same") {
    CHECK(with("sensor", {{"unique_id", "a b"}}).find("unique_id is missing or has characters") == 0);
    CHECK(with("sensor", {{"unique_id", nullptr}}).find("unique_id is missing or has characters") == 0);
    CHECK(with("sensor", {{"object_id", "x-power"}, {"default_entity_id", "sensor.x-power"}}) ==
          "object_id is missing or has characters beyond a-z 0-9 _; ");
    CHECK(with("sensor", {{"default_entity_id", "number.x_power"}}) ==
          "default_entity_id does not go with object_id; ");
    CHECK(with("sensor", {{"name", nullptr}}) == "name is missing; ");
    CHECK(with("sensor", {{"device", {{"identifiers", nullptr}}}}) == "device has no identifiers; ");
    CHECK(with("sensor", {{"device", {{"name", nullptr}}}}) == "device has no name; ");
    CHECK(with("sensor", {{"origin", nullptr}}) == "origin has no name; ");
    const auto document = good_sensor().dump();
    CHECK(support::discovery_problems(
              world_of({{"homeassistant/sensor/n/a/config", document}, {"homeassistant/sensor/n/b/config", document}}))
              .size() == 2);
    CHECK(with("sensor", {{"device", {{"via_device", "twc_home_y"}}}}) == "device twc_home_y is not announced; ");
}

TEST_CASE("discovery check: availability is one list, all of it, of topics that speak") {
    CHECK(with("sensor", {{"availability", nullptr}}) == "availability is missing; ");
    CHECK(with("sensor", {{"availability_mode", "latest"}}) == "availability_mode is not all; ");
    CHECK(with("sensor", {{"availability", {{{"topic", "twc/silent"}}}}}) ==
          "availability topic twc/silent says neither online nor offline; ");
    CHECK(with("sensor", {{"availability_topic", "twc/status"}}).find("exclude each other") != std::string::npos);
}

TEST_CASE("discovery check: a category config is for what can be set") {
    for (const char* platform : {"sensor", "binary_sensor", "event"}) {
        CHECK(with(platform, {{"entity_category", "config"}}) == "entity_category config on what is only read; ");
    }
    CHECK(with("number", {{"entity_category", "config"}}) == "");
    CHECK(with("number", {{"entity_category", "hidden"}}) == "entity_category hidden does not exist; ");
}

TEST_CASE("discovery check: numbers are inside their range and have one") {
    CHECK(with("number", {{"max", 40}}) == "state 50 is outside min to max; ");
    CHECK(with("number", {{"min", 100}}) == "min is not below max; state 50 is outside min to max; ");
    CHECK(with("number", {{"step", 0.0001}}) == "step is below 0.001; ");
    CHECK(with("number", {{"mode", "wheel"}}) == "mode wheel does not exist; ");
    CHECK(with("number", {{"value_template", "{{ value_json.none }}"}}) == "");
    CHECK(with("number", {{"value_template", "{{ value_json.word }}"}}) == "state a is outside min to max; ");
}

TEST_CASE("discovery check: topics are those that are really published and heard") {
    CHECK(with("number", {{"command_topic", "twc/y/set"}}) == "nobody has subscribed to command topic twc/y/set; ");
    CHECK(with("sensor", {{"state_topic", "twc/y/state"}}) == "nothing is published on state topic twc/y/state; ");
    CHECK(with("sensor", {{"value_template", "{{ value_json.pwoer }}"}}) == "twc/x/state has no key pwoer; ");
    CHECK(with("sensor", {{"value_template", "{{ value_json.word.x.y }}"}}) ==
          "an attribute of something undefined: \"y\"; ");
    CHECK(with("sensor", {{"value_template", "{{ value_json.word }}"}}) == "state a is no number; ");
    CHECK(with("switch", {{"value_template", "{{ value_json.word }}"}}) == "state a is neither True nor False; ");
    auto world = world_of({{"homeassistant/event/n/a/config", good("event").dump()}});
    world.events["twc/x/event"] = {"plugged", "fault"};
    REQUIRE(support::discovery_problems(world).size() == 1);
    world.events["twc/x/event"] = {"plugged"};
    CHECK(support::discovery_problems(world).empty());
    CHECK(with("event", {{"state_topic", "twc/x/state"}}) == "a retained event is never seen; ");
    json time = good_sensor();
    time.merge_patch({{"device_class", "timestamp"}, {"unit_of_measurement", nullptr}, {"state_class", nullptr}});
    CHECK(problems("sensor", time) == "state 50 is no time with offset; ");
    time["value_template"] = "{{ value_json.time }}";
    CHECK(problems("sensor", time) == "");
}

TEST_CASE("discovery check: a device document is whole, and shares with its components") {
    json component = good_sensor();
    json document;
    for (const char* key : {"device", "origin", "availability", "availability_mode", "state_topic"}) {
        document[key] = component[key];
        component.erase(key);
    }
    component["platform"] = "sensor";
    document["components"]["power"] = component;
    const std::string topic = "homeassistant/device/twc-bus/x/config";
    CHECK(support::discovery_problems(world_of({{topic, document.dump()}})).empty());
    for (const char* key : {"device", "origin", "components"}) {
        json broken = document;
        broken.erase(key);
        CHECK(support::discovery_problems(world_of({{topic, broken.dump()}})).front() ==
              topic + ": " + key + " is missing");
    }
    CHECK(support::discovery_problems(world_of({{topic, "junk"}})).front() == topic + ": no JSON object");
    CHECK(support::discovery_problems(world_of({{"homeassistant/sensor/a b/c/config", "{}"}})).size() == 1);
    CHECK(support::discovery_problems(world_of({{"other/sensor/a/c/config", "{}"}})).size() == 1);
}

TEST_CASE("template: what our documents use gives what Home Assistant gets") {
    const auto value = json::parse(R"json({"a":1.5,"n":null,"t":true,"w":"x","zero":0,"o":{"7":{"k":2}},"l":[1,null],
                                       "long":"äöü"})json");
    const auto is = [&](const char* text, const char* expected) {
        CAPTURE(text);
        CHECK(evaluate_template(text, value) == expected);
    };
    is("{{ value_json.a }}", "1.5");
    is("{{ value_json.n }}", "None");
    is("{{ value_json.t }}", "True");
    is("{{ value_json.missing }}", "");
    is("{{ value_json.l[0] }}", "1");
    is("{{ value_json.l[1] }}", "None");
    is("{{ value_json.long[:2] }}", "äö");
    is("{{ value_json.long[:9] }}", "äöü");
    is("{{ value_json.n is none }}", "True");
    is("{{ value_json.w is not none }}", "True");
    is("{{ value_json.w == 'x' }}", "True");
    is("{{ value_json.w != 'x' }}", "False");
    is("{{ value_json.w in ['y', 'x'] }}", "True");
    is("{{ none if value_json.w == 'x' else value_json.w }}", "None");
    is("{{ none if value_json.w == 'y' else value_json.w }}", "x");
    is("{{ value_json.n | default('z', true) }}", "z");
    is("{{ value_json.n | default('z') }}", "None");
    is("{{ value_json.zero | default(none) }}", "0");
    is("{{ (value_json.o['7'] | default({})).k | default(none) }}", "2");
    is("{{ (value_json.o['8'] | default({})).k | default(none) }}", "None");
    is("{{ (value_json.n | default({}, true)).k | default(none) }}", "None");
    for (const char* wrong : {"value_json.a", "{{ value_json.missing.k }}", "{{ other }}", "{{ value_json.a | int }}",
                              "{{ value_json.a[:2] }}", "{{ value_json.a b }}", "{{ 'open }}", "{{ value_json. }}",
                              "{{ value_json.a is 1 }}", "{{ 1 if 2 }}", "{{ 1 in 2 }}"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(evaluate_template(wrong, value), support::TemplateError);
    }
    CHECK(support::first_key("{{ (value_json.o['7'] | default({})).k }}") == "o");
    CHECK(support::first_key("{{ 1 }}").empty());
}
