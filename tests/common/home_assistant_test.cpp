#include <doctest/doctest.h>

#include "home_assistant/devices.hpp"
#include "home_assistant/discovery.hpp"
#include "support/simulated_service.hpp"

using namespace std::chrono_literals;
using home_assistant::Announcer;
using home_assistant::Device;
using home_assistant::Discovery;
using home_assistant::Documents;
using home_assistant::Form;

namespace {

Announcer garage() {
    return {
        .service = "twc-bus", .site = "home", .prefix = "homeassistant", .status_topic = "twc/service/twc-bus/status"};
}

Device charger(const std::string& id, bool with_button = true) {
    Device device = home_assistant::charger_device(id);
    device.availability_topics = {"twc/charger/" + id + "/availability"};
    device.entities.push_back(
        {.key = "power_w",
         .name = "Power",
         .kind = home_assistant::Sensor{.device_class = "power", .unit = "W", .state_class = "measurement"},
         .state_topic = "twc/charger/" + id + "/state",
         .value_template = home_assistant::value_of("power_w"),
         .repeated_every = 10s});
    if (with_button) {
        device.entities.push_back({.key = "boost",
                                   .name = "Boost",
                                   .kind = home_assistant::Button{"twc/boost/set", "max 1h"},
                                   .category = home_assistant::Category::config,
                                   .enabled = false});
    }
    return device;
}

constexpr const char* power_topic = "homeassistant/sensor/twc-bus/twc_home_charger_7744_power_w/config";
constexpr const char* boost_topic = "homeassistant/button/twc-bus/twc_home_charger_7744_boost/config";
constexpr const char* device_topic = "homeassistant/device/twc-bus/twc_home_charger_7744/config";

/// A service with a Discovery and nothing else, in virtual time.
struct House {
    explicit House(Form form, std::vector<Device> announced = {charger("7744")}) : devices(std::move(announced)) {
        start(form);
    }

    void start(Form form) {
        discovery.reset();
        service.reset();
        service = std::make_unique<support::SimulatedService>(world, "twc-bus");
        service->environment.home_assistant.form = form;
        discovery = std::make_unique<Discovery>(
            service->environment, [this] { return devices; }, [this] { ++repeats; });
    }

    Documents retained() const {
        Documents documents;
        for (const auto& [topic, payload] : world.broker.all_retained()) {
            if (topic.starts_with("homeassistant/")) {
                documents.emplace(topic, payload);
            }
        }
        return documents;
    }

    /// What was published under the prefix since the last call, as topic and a word for the payload.
    std::vector<std::string> news() {
        std::vector<std::string> lines;
        for (; seen < world.sent.size(); ++seen) {
            const auto& publication = world.sent[seen].publication;
            if (!publication.topic.starts_with("homeassistant/")) {
                continue;
            }
            CHECK(publication.retained);
            CHECK(publication.qos == 1);
            const bool is_migration = publication.payload == home_assistant::migration_document;
            const char* const word = publication.payload.empty() ? "cleared" : is_migration ? "let go" : "announced";
            lines.push_back(publication.topic.substr(std::string("homeassistant/").size()) + " " + word);
        }
        return lines;
    }

    void say(const std::string& topic, const std::string& payload, bool retained) {
        if (!stranger) {
            stranger = world.broker.connect("stranger");
        }
        stranger->publish({.topic = topic, .payload = payload, .retained = retained, .qos = 1});
        world.loop.run_for(1ms);
    }

    support::SimulatedWorld world;
    std::vector<Device> devices;
    int repeats = 0;
    std::size_t seen = 0;
    std::unique_ptr<messaging::InMemoryClient> stranger;
    std::unique_ptr<support::SimulatedService> service;
    std::unique_ptr<Discovery> discovery;
};

}  // namespace

TEST_CASE("home assistant: an entity has a document of its own with everything it needs") {
    const auto documents = home_assistant::documents(garage(), Form::entity, {charger("7744")});
    REQUIRE(documents.size() == 2);
    const auto power = nlohmann::json::parse(documents.at(power_topic));
    const auto expected = nlohmann::json::parse(R"({
        "name": "Power", "unique_id": "twc_home_charger_7744_power_w",
        "object_id": "wall_connector_7744_power_w", "default_entity_id": "sensor.wall_connector_7744_power_w",
        "state_topic": "twc/charger/7744/state", "value_template": "{{ value_json.power_w }}",
        "device_class": "power", "unit_of_measurement": "W", "state_class": "measurement", "expire_after": 30,
        "availability": [{"topic": "twc/service/twc-bus/status"}, {"topic": "twc/charger/7744/availability"}],
        "availability_mode": "all",
        "device": {"identifiers": ["twc_home_charger_7744"], "name": "Wall Connector 7744", "manufacturer": "Tesla",
                   "model": "Wall Connector Gen 2", "via_device": "twc_home_controller"}})");
    auto without_origin = power;
    without_origin.erase("origin");
    CHECK(without_origin == expected);
    CHECK(power["origin"]["name"] == "twc-mqtt");
    const auto boost = nlohmann::json::parse(documents.at(boost_topic));
    CHECK(boost["payload_press"] == "max 1h");
    CHECK(boost["qos"] == 1);
    CHECK(boost["enabled_by_default"] == false);
    CHECK(boost["entity_category"] == "config");
    CHECK_FALSE(boost.contains("expire_after"));
}

TEST_CASE("home assistant: the device form says the same in one document, with the same unique ids") {
    const auto documents = home_assistant::documents(garage(), Form::device, {charger("7744")});
    REQUIRE(documents.size() == 1);
    const auto device = nlohmann::json::parse(documents.at(device_topic));
    CHECK(device["components"]["power_w"]["unique_id"] == "twc_home_charger_7744_power_w");
    CHECK(device["components"]["power_w"]["platform"] == "sensor");
    CHECK(device["components"]["boost"]["unique_id"] == "twc_home_charger_7744_boost");
    CHECK(device["availability"].size() == 2);
    CHECK_FALSE(device["components"]["power_w"].contains("device"));
    CHECK(home_assistant::documents(garage(), Form::off, {charger("7744")}).empty());
    CHECK(home_assistant::documents(garage(), Form::device, {home_assistant::bus_device()}).empty());
}

TEST_CASE("home assistant: two sites share a broker without sharing an id") {
    auto other = garage();
    other.site = "lake-house";
    const auto here = home_assistant::documents(garage(), Form::entity, {charger("7744")});
    for (const auto& [topic, payload] : home_assistant::documents(other, Form::entity, {charger("7744")})) {
        CHECK_FALSE(here.contains(topic));
        const auto document = nlohmann::json::parse(payload);
        CHECK(document["unique_id"].get<std::string>().starts_with("twc_lake-house_"));
        CHECK(document["object_id"].get<std::string>().starts_with("lake_house_wall_connector_"));
    }
}

TEST_CASE("home assistant: only what we published at this site is ours") {
    const auto documents = home_assistant::documents(garage(), Form::entity, {charger("7744")});
    CHECK(home_assistant::is_ours(garage(), documents.at(power_topic)));
    auto other = garage();
    other.status_topic = "lake/service/twc-bus/status";
    CHECK_FALSE(home_assistant::is_ours(other, documents.at(power_topic)));
    for (const char* payload :
         {"", "x", "[]", "{}", R"({"origin":1,"availability":2})",
          R"({"origin":{"name":"twc-mqtt"},"availability":[]})", R"({"origin":{"name":7},"availability":[7]})",
          R"({"origin":{"name":"z2m"},"availability":[{"topic":"twc/service/twc-bus/status"}]})"}) {
        CAPTURE(payload);
        CHECK_FALSE(home_assistant::is_ours(garage(), payload));
    }
}

TEST_CASE("home assistant: a component that is gone is marked before it is left out") {
    const auto before = home_assistant::documents(garage(), Form::device, {charger("7744")}).at(device_topic);
    const auto after = home_assistant::documents(garage(), Form::device, {charger("7744", false)}).at(device_topic);
    const auto marked = nlohmann::json::parse(home_assistant::with_removals(before, after));
    CHECK(marked["components"]["boost"] == nlohmann::json{{"platform", "button"}});
    CHECK(marked["components"]["power_w"] == nlohmann::json::parse(after)["components"]["power_w"]);
    // NOLINTNEXTLINE(readability-suspicious-call-argument): the way back
    CHECK(home_assistant::with_removals(after, before) == before);
    CHECK(home_assistant::with_removals("", after) == after);
    CHECK(home_assistant::with_removals("junk", after) == after);
}

TEST_CASE("discovery: looks first, then announces once, retained and with QoS 1") {
    House house(Form::entity);
    house.world.loop.run_for(2s);
    CHECK(house.news().empty());
    house.world.loop.run_for(2s);
    CHECK(house.news() == std::vector<std::string>{"button/twc-bus/twc_home_charger_7744_boost/config announced",
                                                   "sensor/twc-bus/twc_home_charger_7744_power_w/config announced"});
    house.discovery->refresh();
    house.world.loop.run_for(10min);
    CHECK(house.news().empty());
}

TEST_CASE("discovery: a new device is announced at once, alone") {
    House house(Form::device);
    house.world.loop.run_for(1min);
    house.news();
    house.devices.push_back(charger("7745"));
    house.discovery->refresh();
    CHECK(house.news() == std::vector<std::string>{"device/twc-bus/twc_home_charger_7745/config announced"});
}

TEST_CASE("discovery: a device that left is withdrawn, at once or at the next start when it was time to find it") {
    House house(Form::entity, {charger("7744"), charger("7745")});
    house.world.loop.run_for(1min);
    REQUIRE(house.retained().size() == 4);
    house.devices.pop_back();
    SUBCASE("while it runs") {
        house.discovery->refresh();
        house.world.loop.run_for(1s);
        CHECK(house.retained().size() == 2);
    }
    SUBCASE("while it was down") {
        house.start(Form::entity);
        house.world.loop.run_for(20s);
        CHECK(house.retained().size() == 4);  // it may yet be found
        house.world.loop.run_for(20s);
        CHECK(house.retained().size() == 2);
    }
    CHECK(house.retained().contains(power_topic));
}

TEST_CASE("discovery: a component that left is taken out of its device document") {
    House house(Form::device);
    house.world.loop.run_for(1min);
    house.devices = {charger("7744", false)};
    house.discovery->refresh();
    house.world.loop.run_for(100ms);
    CHECK(nlohmann::json::parse(house.retained().at(device_topic))["components"]["boost"].size() == 1);
    house.world.loop.run_for(3s);
    CHECK_FALSE(nlohmann::json::parse(house.retained().at(device_topic))["components"].contains("boost"));
}

TEST_CASE("discovery: a change of form lets the old documents go before the new ones come, and never has both") {
    Form from = Form::entity;
    Form to = Form::device;
    SUBCASE("entity to device") {}
    SUBCASE("device to entity") { std::swap(from, to); }
    House house(from);
    house.world.loop.run_for(1min);
    const auto old_documents = house.retained();
    house.start(to);
    house.news();
    house.world.loop.run_for(3500ms);
    for (const auto& [topic, payload] : house.retained()) {
        CHECK(old_documents.contains(topic));
        CHECK(payload == home_assistant::migration_document);
    }
    house.world.loop.run_for(2s);
    for (const auto& [topic, payload] : house.retained()) {
        CHECK(old_documents.contains(topic) == (payload == home_assistant::migration_document));
    }
    house.world.loop.run_for(2s);
    CHECK(house.retained() == home_assistant::documents(garage(), to, house.devices));
    house.world.loop.run_for(2min);
    CHECK(house.retained() == home_assistant::documents(garage(), to, house.devices));
}

TEST_CASE("discovery: a change of form that was interrupted is finished at the next start") {
    House house(Form::entity);
    house.world.loop.run_for(1min);
    house.start(Form::device);
    house.world.loop.run_for(3500ms);
    REQUIRE(house.retained().at(power_topic) == home_assistant::migration_document);
    house.start(Form::device);
    house.world.loop.run_for(1min);
    CHECK(house.retained() == home_assistant::documents(garage(), Form::device, house.devices));
}

TEST_CASE("discovery: switched off it withdraws everything of ours and announces nothing") {
    House house(Form::entity, {charger("7744"), charger("7745")});
    house.world.loop.run_for(1min);
    house.start(Form::off);
    house.world.loop.run_for(1min);
    CHECK(house.retained().empty());
    house.say("homeassistant/status", "online", false);
    house.world.loop.run_for(1min);
    CHECK(house.retained().empty());
    CHECK(house.repeats == 0);
}

TEST_CASE("discovery: documents of strangers stay, whatever is in them and even under our name") {
    House house(Form::entity, {});
    house.say("homeassistant/sensor/twc-bus/other/config", R"({"name":"mine"})", true);
    house.say("homeassistant/sensor/twc-bus/junk/config", "junk", true);
    house.say("homeassistant/sensor/twc-bus/half/config", home_assistant::migration_document, true);
    auto other = garage();
    other.site = "lake";
    other.status_topic = "lake/service/twc-bus/status";
    for (const auto& [topic, payload] : home_assistant::documents(other, Form::device, {charger("7744")})) {
        house.say(topic, payload, true);
    }
    const auto before = house.retained();
    REQUIRE(before.size() == 4);
    for (const Form form : {Form::entity, Form::device, Form::off}) {
        house.start(form);
        house.world.loop.run_for(2min);
        CHECK(house.retained() == before);
    }
}

TEST_CASE("discovery: when Home Assistant starts, documents and states are sent again within 1 to 5 seconds") {
    House house(Form::entity);
    house.world.loop.run_for(1min);
    house.say("homeassistant/status", "offline", false);
    house.world.loop.run_for(10s);
    CHECK(house.repeats == 0);
    const auto started = house.world.loop.now();
    house.stranger->publish({.topic = "homeassistant/status", .payload = "online", .qos = 1});
    house.world.loop.run_for(900ms);
    CHECK(house.repeats == 0);
    house.world.loop.run_for(4200ms);
    CHECK(house.repeats == 1);
    const auto again = house.world.sent_on(power_topic);
    REQUIRE(again.size() == 2);
    CHECK(again.back().at - started >= 1s);
    CHECK(again.back().at - started <= 5s);
}

TEST_CASE("discovery: without a broker it waits, and what the broker forgot is there again") {
    House house(Form::entity);
    house.world.broker.go_down();
    house.world.loop.run_for(1min);
    CHECK(house.retained().empty());
    house.world.broker.go_up();
    house.world.loop.run_for(1min);
    CHECK(house.retained().size() == 2);
    house.world.broker.go_down();
    house.world.broker.lose_retained();
    house.world.broker.go_up();
    house.world.loop.run_for(1min);
    CHECK(house.retained() == home_assistant::documents(garage(), Form::entity, house.devices));
}

TEST_CASE("discovery: is gone with its service and leaves nothing on the loop") {
    House house(Form::entity);
    house.world.loop.run_for(2s);
    house.discovery.reset();
    house.world.loop.run_for(1min);
    CHECK(house.retained().empty());
}
