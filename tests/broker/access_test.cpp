#include <algorithm>
#include <filesystem>
#include <set>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/shipped_broker.hpp"

using support::Mqtt5Client;
using support::ShippedBroker;

namespace {

using Users = std::set<std::string>;

const std::string nobody;  // a client without a name
const Users everyone{nobody,    "ha",         "nodered",      "cli",           "healthcheck",
                     "twc-bus", "ems-bridge", "tesla-bridge", "policy-engine", "house-sim"};
const Users front_ends{nobody, "ha", "nodered", "cli"};
const Users services{"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"};
const Users repliers{"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine", "house-sim"};
// Who may look at all of ours: front ends, and two programs whose work it is. ems-bridge may look at everything.
const Users onlookers{nobody, "ha", "nodered", "cli", "policy-engine", "house-sim", "ems-bridge"};

Users operator+(Users users, const Users& more) {
    users.insert(more.begin(), more.end());
    return users;
}

// A topic of each class: who may write it and who is given what is written; nobody else.
struct Rule {
    std::string topic;
    Users writers;
    Users readers;
};

std::vector<Rule> rules_of_services() {
    std::vector<Rule> rules;
    for (const auto& service : services) {
        for (const char* leaf : {"status", "info", "metrics", "event"}) {
            rules.push_back({fmt::format("twc/service/{}/{}", service, leaf), {service}, onlookers});
        }
        rules.push_back({"twc/rpc/" + service + "/history", {nobody, "nodered", "cli"}, onlookers + Users{service}});
        for (const char* form : {"sensor", "select", "device"}) {
            rules.push_back({fmt::format("homeassistant/{}/{}/thing/config", form, service),
                             {service, "ha"},
                             {service, "ha", "ems-bridge"}});
        }
    }
    rules.push_back({"twc/service/house-sim/status", {"house-sim"}, onlookers});
    rules.push_back({"twc/service/cli/status", {}, onlookers});
    return rules;
}

std::vector<Rule> rules_of_the_line() {
    return {
        {"twc/bus/state", {"twc-bus"}, onlookers},
        {"twc/bus/granted_a", {"twc-bus"}, onlookers},
        {"twc/bus/chargers/7744", {"twc-bus"}, onlookers},
        {"twc/bus/lines/garage/link", {"twc-bus"}, onlookers},
        {"twc/bus/limit/set", {"policy-engine"}, onlookers + Users{"twc-bus"}},
        {"twc/bus/estop/set", front_ends + Users{"policy-engine"}, onlookers + Users{"twc-bus"}},
        {"twc/bus/raw/set", {}, onlookers + Users{"twc-bus"}},
        {"twc/charger/7744/availability", {"twc-bus"}, onlookers},
        {"twc/charger/7744/state", {"twc-bus"}, onlookers},
        {"twc/charger/7744/current_a", {"twc-bus"}, onlookers},
        {"twc/charger/7744/event", {"twc-bus"}, onlookers},
        {"twc/charger/7744/limit/set", {"twc-bus"}, onlookers},
    };
}

std::vector<Rule> rules_of_meters_and_cars() {
    std::vector<Rule> rules{
        {"twc/ems/state", {"ems-bridge"}, onlookers + Users{"twc-bus"}},
        {"twc/ems/grid_w", {"ems-bridge"}, onlookers},
        {"twc/ems/grid_a/1", {"ems-bridge"}, onlookers},
        {"twc/ems/voltage_v/1", {"ems-bridge"}, onlookers},
        {"twc/ems/missing/0", {"ems-bridge"}, onlookers},
        {"twc/ems/source/roof/state", {"ems-bridge"}, onlookers},
        {"twc/ems/tariff/state", {"ems-bridge"}, onlookers},
        {"twc/ems/forecast/state", {"ems-bridge"}, onlookers},
        {"twc/vehicle/kestrel/availability", {"tesla-bridge"}, onlookers},
        {"twc/vehicle/kestrel/state", {"tesla-bridge"}, onlookers},
        {"twc/vehicle/kestrel/soc_pct", {"tesla-bridge"}, onlookers},
        {"teslamate/cars/1/battery_level", {"house-sim"}, {"tesla-bridge", "ems-bridge"}},
    };
    for (const char* input : {"grid_power", "pv_power", "battery_power", "battery_soc", "house_power"}) {
        rules.push_back({fmt::format("twc/ems/input/{}/set", input), front_ends + Users{"house-sim"}, onlookers});
    }
    for (const char* command : {"charge_start", "charge_stop", "set_amps", "set_limit", "wake"}) {
        rules.push_back({fmt::format("twc/vehicle/kestrel/command/{}/set", command),
                         {"policy-engine"},
                         onlookers + Users{"tesla-bridge"}});
    }
    return rules;
}

std::vector<Rule> rules_of_policy() {
    std::vector<Rule> rules;
    for (const char* state :
         {"state", "settings", "mode", "override/state", "override/7744/state", "charger/7744/state"}) {
        rules.push_back({fmt::format("twc/policy/{}", state), {"policy-engine"}, onlookers});
    }
    for (const char* command :
         {"mode/set", "max_a/set", "import_cap_w/set", "dim_w/set", "schedule/set", "plan/set", "override/set",
          "override/7744/set", "charger/7744/max_a/set", "charger/7744/mode/set", "vehicle/kestrel/priority/set"}) {
        rules.push_back({fmt::format("twc/policy/{}", command), front_ends + Users{"policy-engine"}, onlookers});
    }
    return rules;
}

std::vector<Rule> rules_of_the_rest() {
    return {
        {"twc/reply/cli/7", repliers, onlookers},
        {"twc/reply/healthcheck/7", repliers, onlookers + Users{"healthcheck"}},
        {"twc/reply/twc-bus/7", repliers, onlookers + Users{"twc-bus"}},
        {"twc/house-sim/state", {"house-sim"}, onlookers},
        {"twc/house-sim/cloud/set", {nobody, "cli", "house-sim"}, onlookers},
        {"twc/unheard-of", {}, onlookers},
        {"homeassistant/status", {"ha"}, services + Users{"ha"}},
        // Whoever could write these would put controls into Home Assistant.
        {"homeassistant/button/cli/open/config", {"ha"}, {"ha", "ems-bridge"}},
        {"homeassistant/button/nodered/open/config", {"ha"}, {"ha", "ems-bridge"}},
        {"homeassistant/button/healthcheck/open/config", {"ha"}, {"ha", "ems-bridge"}},
        {"TWC/control/chargeNow", {}, {"ems-bridge"}},
        {"TWC/7744/ampsInUse", {}, {"ems-bridge"}},
        {"zigbee2mqtt/meter", {}, {"ems-bridge"}},
        {"sites/garage/twc/policy/mode/set", {}, {"ems-bridge"}},
        {"$SYS/broker/uptime", {}, {nobody, "cli", "healthcheck"}},
        {"$SYS/broker/version", {}, {nobody, "cli"}},
    };
}

std::vector<Rule> all_rules() {
    std::vector<Rule> all;
    for (const auto& part : {rules_of_services(), rules_of_the_line(), rules_of_meters_and_cars(), rules_of_policy(),
                             rules_of_the_rest()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

// The test's own eye and hand: sees and may publish everything.
const support::ShippedBrokerOptions with_a_witness{.anonymous = true,
                                                   .more_users = {"witness"},
                                                   .more_acl = "\nuser witness\ntopic readwrite #\ntopic read $SYS/#\n",
                                                   .more_configuration = ""};

std::string name_of(const std::string& user) { return user.empty() ? "nobody" : user; }

std::set<std::string> topics_of(const std::vector<Mqtt5Client::Message>& messages) {
    std::set<std::string> topics;
    for (const auto& message : messages) {
        topics.insert(message.topic);
    }
    return topics;
}

// A topic of which the user is given what the witness publishes: what came before it has arrived, or never will.
std::string end_marker(const std::string& user) { return user.empty() ? "twc/end" : "twc/reply/" + user + "/end"; }

unsigned mode_of(const std::filesystem::path& file) {
    return static_cast<unsigned>(std::filesystem::status(file).permissions());
}

bool is_system_topic(const std::string& topic) { return topic.starts_with("$SYS"); }

}  // namespace

TEST_CASE("broker access: of every class of topics, exactly the meant users can write, and the others are told") {
    const ShippedBroker broker(with_a_witness);
    Mqtt5Client witness(broker.port(), broker.login("witness"));
    witness.subscribe("#");
    for (const auto& user : everyone) {
        Mqtt5Client client(broker.port(), broker.login(user));
        REQUIRE(client.connack() == 0);
        for (const auto& rule : all_rules()) {
            if (is_system_topic(rule.topic)) {
                continue;  // Mosquitto cuts whoever writes there
            }
            CAPTURE(rule.topic);
            CAPTURE(name_of(user));
            const bool allowed = rule.writers.contains(user);
            CHECK((client.publish(rule.topic, "by " + user) == Mqtt5Client::not_authorized) != allowed);
        }
        witness.publish("end", user);
        const auto delivered = topics_of(witness.received_until("end", user));
        for (const auto& rule : all_rules()) {
            CAPTURE(rule.topic);
            CAPTURE(name_of(user));
            CHECK(delivered.contains(rule.topic) == (rule.writers.contains(user) && !is_system_topic(rule.topic)));
        }
    }
}

TEST_CASE("broker access: of every class of topics, exactly the meant users are given what is written") {
    const ShippedBroker broker(with_a_witness);
    Mqtt5Client witness(broker.port(), broker.login("witness"));
    for (const auto& user : everyone) {
        Mqtt5Client client(broker.port(), broker.login(user));
        REQUIRE(client.connack() == 0);
        client.subscribe("#");
        client.subscribe("$SYS/#");
        for (const auto& rule : all_rules()) {
            if (!is_system_topic(rule.topic)) {
                witness.publish(rule.topic, "x");
            }
        }
        witness.publish(end_marker(user), "end");
        const auto given = topics_of(client.received_until(end_marker(user), "end"));
        for (const auto& rule : all_rules()) {
            CAPTURE(rule.topic);
            CAPTURE(name_of(user));
            CHECK(given.contains(rule.topic) == rule.readers.contains(user));
        }
    }
}

TEST_CASE("broker access: what the broker has kept is given to nobody who may not read it") {
    const ShippedBroker broker(with_a_witness);
    Mqtt5Client witness(broker.port(), broker.login("witness"));
    for (const auto& rule : all_rules()) {
        if (!is_system_topic(rule.topic)) {
            witness.await(witness.post(rule.topic, "kept", {.retained = true}));
        }
    }
    for (const auto& user : everyone) {
        Mqtt5Client client(broker.port(), broker.login(user));
        client.subscribe("#");
        witness.publish(end_marker(user), "end");
        const auto given = topics_of(client.received_until(end_marker(user), "end"));
        for (const auto& rule : all_rules()) {
            CAPTURE(rule.topic);
            CAPTURE(name_of(user));
            CHECK(given.contains(rule.topic) == (rule.readers.contains(user) && !is_system_topic(rule.topic)));
        }
    }
}

TEST_CASE("broker access: nobody is let in without a name or with a wrong password") {
    const ShippedBroker broker;
    CHECK(Mqtt5Client(broker.port()).connack() == Mqtt5Client::not_authorized);
    CHECK(Mqtt5Client(broker.port(), {"twc-bus", "wrong"}).connack() == Mqtt5Client::not_authorized);
    CHECK(Mqtt5Client(broker.port(), {"admin", ""}).connack() == Mqtt5Client::not_authorized);
    // Another user's password is a wrong one.
    CHECK(Mqtt5Client(broker.port(), {"policy-engine", broker.login("cli").password}).connack() ==
          Mqtt5Client::not_authorized);
    CHECK(Mqtt5Client(broker.port(), broker.login("cli")).connack() == 0);
}

TEST_CASE("broker access: password files are for owner and group, each password is another one and stays") {
    const ShippedBroker broker;
    const auto secrets = broker.folder() / "secrets";
    CHECK(mode_of(secrets / "broker/passwd") == 0640);
    CHECK(mode_of(secrets / "broker") == 0750);
    std::set<std::string> passwords;
    for (const auto& user : everyone) {
        if (user.empty()) {
            continue;
        }
        CAPTURE(user);
        CHECK(mode_of(secrets / user / "password") == 0640);
        CHECK(mode_of(secrets / user) == 0750);
        const auto password = broker.login(user).password;
        CHECK(password.size() == 48);
        CHECK(support::project_file("config/acl").find(password) == std::string::npos);
        passwords.insert(password);
    }
    CHECK(passwords.size() == everyone.size() - 1);

    const auto before = broker.login("cli").password;
    support::run_command({SOURCE_DIR "/deploy/mqtt-users.sh", secrets});
    CHECK(broker.login("cli").password == before);
    CHECK(mode_of(secrets / "broker/passwd") == 0640);
}
