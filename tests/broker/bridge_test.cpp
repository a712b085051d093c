#include <algorithm>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "certificates.hpp"
#include "support/eventually.hpp"
#include "support/shipped_broker.hpp"

using support::Mqtt5Client;
using support::ShippedBroker;

namespace {

const std::string far = "sites/garage/";

support::ShippedBrokerOptions hub_options(const Certificates& certificates, int tls_port) {
    return {.anonymous = false,
            .more_users = {"site-garage", "sites-viewer", "garage-owner", "hub-admin"},
            .more_acl = "\n" + support::project_file("config/broker/hub.acl") + "\nuser hub-admin\ntopic readwrite #\n",
            .more_configuration = "\n" + certificates.listener(tls_port)};
}

support::ShippedBrokerOptions site_options(const Certificates& certificates, int hub_port) {
    auto bridge = support::project_file("config/broker/bridge.conf");
    Certificates::replace(bridge, "hub.example.org:8883", fmt::format("127.0.0.1:{}", hub_port));
    Certificates::replace(bridge, "/mosquitto/secrets/bridge/ca.crt", certificates.authority().string());
    Certificates::replace(bridge, "change-me", "password");
    return {.anonymous = false,
            .more_users = {"witness"},
            .more_acl = "\nuser witness\ntopic readwrite #\n",
            .more_configuration = "\n" + bridge};
}

// The hub, which has a house of its own, and the site garage, bridged over TLS by the shipped files.
struct TwoSites {
    Certificates certificates{{"127.0.0.1"}};
    int tls_port = support::free_port();
    ShippedBroker hub{hub_options(certificates, tls_port)};
    ShippedBroker site{site_options(certificates, tls_port)};
    Mqtt5Client at_hub{hub.port(), hub.login("hub-admin")};
    Mqtt5Client at_site{site.port(), site.login("witness")};

    TwoSites() {
        at_hub.subscribe("#");
        await_bridge("1");
        at_site.subscribe("#");
        await_commands();
    }

    void await_bridge(const std::string& state) { at_hub.received_until(far + "bridge/status", state); }

    /// The bridge says that it is there before it has subscribed; what it takes last is the topics of vehicles.
    void await_commands() {
        const std::string topic = "twc/policy/vehicle/ready/ready/set";
        REQUIRE(support::eventually([&] {
            at_hub.publish(far + topic, "?");
            return at_site.receives(topic, "?", std::chrono::milliseconds(100));
        }));
    }

    /// What was delivered to each, until all that was said before has come through in both directions, twice: a loop
    /// would have shown.
    std::pair<std::vector<std::string>, std::vector<std::string>> settled() {
        std::vector<std::string> hub_topics;
        std::vector<std::string> site_topics;
        for (const std::string round : {"first", "second"}) {
            at_site.publish("twc/service/end", round);
            append(hub_topics, at_hub.received_until(far + "twc/service/end", round));
            at_hub.publish(far + "twc/policy/end/set", round);
            append(site_topics, at_site.received_until("twc/policy/end/set", round));
        }
        return {hub_topics, site_topics};
    }

    static void append(std::vector<std::string>& topics, const std::vector<Mqtt5Client::Message>& messages) {
        for (const auto& message : messages) {
            const bool is_marker =
                message.topic.find("/end") != std::string::npos || message.topic.find("/ready/") != std::string::npos;
            if (!is_marker) {
                topics.push_back(message.topic);
            }
        }
    }
};

// What a site says, and whether the hub hears it.
const std::vector<std::pair<std::string, bool>> said_at_site{
    {"twc/service/twc-bus/status", true},
    {"twc/service/policy-engine/event", true},
    {"twc/bus/state", true},
    {"twc/bus/granted_a", true},
    {"twc/charger/7744/state", true},
    {"twc/charger/7744/availability", true},
    {"twc/ems/state", true},
    {"twc/ems/source/roof/state", true},
    {"twc/ems/tariff/state", true},
    {"twc/ems/forecast/state", true},
    {"twc/vehicle/kestrel/state", true},
    {"twc/policy/state", true},
    {"twc/policy/settings", true},
    {"twc/policy/charger/7744/state", true},
    {"twc/policy/plan/state", true},
    {"twc/policy/override/state", true},
    {"twc/policy/override/7744/state", true},
    {"twc/policy/mode/set", false},
    {"twc/policy/plan/set", false},
    {"twc/policy/override/set", false},
    {"twc/policy/override/7744/set", false},
    {"twc/policy/charger/7744/max_a/set", false},
    {"twc/bus/limit/set", false},
    {"twc/bus/estop/set", false},
    {"twc/vehicle/kestrel/command/wake/set", false},
    {"twc/ems/input/grid_power/set", false},
    {"twc/reply/cli/1", false},
    {"twc/rpc/policy-engine/history", false},
    {"teslamate/cars/1/latitude", false},
    {"homeassistant/sensor/twc-bus/x/config", false},
};

// What is said at the hub about the site, by somebody who may say anything there, and whether the site hears it.
const std::vector<std::pair<std::string, bool>> said_at_hub{
    {"policy/mode/set", true},
    {"policy/override/set", true},
    {"policy/override/7744/set", true},
    {"policy/charger/7744/max_a/set", true},
    {"policy/vehicle/kestrel/priority/set", true},
    {"policy/state", false},
    {"policy/settings", false},
    {"bus/limit/set", false},
    {"bus/estop/set", false},
    {"bus/raw/set", false},
    {"bus/state", false},
    {"charger/7744/state", false},
    {"vehicle/kestrel/command/charge_start/set", false},
    {"vehicle/kestrel/state", false},
    {"ems/input/grid_power/set", false},
    {"ems/state", false},
    {"service/policy-engine/status", false},
    {"rpc/policy-engine/history", false},
};

}  // namespace

TEST_CASE("bridge of two sites: the hub sees each state of the site once, and none of its requests") {
    TwoSites sites;
    for (const auto& [topic, seen] : said_at_site) {
        sites.at_site.publish(topic, "said");
    }
    const auto [at_hub, at_site] = sites.settled();
    for (const auto& each : said_at_site) {
        const auto& topic = each.first;
        const auto& seen = each.second;
        CAPTURE(topic);
        CHECK(std::ranges::count(at_hub, far + topic) == (seen ? 1 : 0));
        CHECK(std::ranges::count(at_hub, topic) == 0);
        CHECK(std::ranges::count(at_site, topic) == 1);
    }
}

TEST_CASE("bridge of two sites: only what a front end may ask comes from the hub, once") {
    TwoSites sites;
    for (const auto& [topic, heard] : said_at_hub) {
        sites.at_hub.publish(far + "twc/" + topic, "said");
        sites.at_hub.publish("twc/" + topic, "for the hub's own house");
        sites.at_hub.publish("sites/other/twc/" + topic, "for another site");
    }
    const auto [at_hub, at_site] = sites.settled();
    for (const auto& each : said_at_hub) {
        const auto& topic = each.first;
        const auto& heard = each.second;
        CAPTURE(topic);
        CHECK(std::ranges::count(at_site, "twc/" + topic) == (heard ? 1 : 0));
        CHECK(std::ranges::count(at_hub, far + "twc/" + topic) == 1);
    }
    CHECK(std::ranges::none_of(at_site, [](const std::string& topic) { return topic.starts_with("sites/other"); }));
}

TEST_CASE("bridge of two sites: on the hub one user looks, one steers, and a site speaks only for itself") {
    TwoSites sites;
    Mqtt5Client viewer(sites.hub.port(), sites.hub.login("sites-viewer"));
    Mqtt5Client owner(sites.hub.port(), sites.hub.login("garage-owner"));
    Mqtt5Client bridge(sites.hub.port(), sites.hub.login("site-garage"));
    Mqtt5Client house(sites.hub.port(), sites.hub.login("cli"));
    for (const auto& each : said_at_hub) {
        const auto& topic = each.first;
        const auto& heard = each.second;
        CAPTURE(topic);
        const auto refuses = [](Mqtt5Client& client, const std::string& full) {
            return client.publish(full, "x") == Mqtt5Client::not_authorized;
        };
        CHECK(refuses(viewer, far + "twc/" + topic));
        CHECK(refuses(owner, far + "twc/" + topic) == !heard);
        CHECK(refuses(owner, "twc/" + topic));
        CHECK(refuses(bridge, "twc/" + topic));
        CHECK(refuses(bridge, "sites/other/twc/" + topic));
        CHECK(refuses(house, far + "twc/" + topic));
    }
}

TEST_CASE("bridge of two sites: states stay while a site is away, and no command waits for it") {
    TwoSites sites;
    sites.at_site.await(sites.at_site.post("twc/charger/7744/state", "before", {.retained = true}));
    sites.at_hub.received_until(far + "twc/charger/7744/state", "before");
    sites.site.stop();
    sites.await_bridge("0");

    sites.at_hub.publish(far + "twc/policy/override/set", "too late");
    Mqtt5Client newcomer(sites.hub.port(), sites.hub.login("sites-viewer"));
    newcomer.subscribe("sites/#");
    newcomer.received_until(far + "twc/charger/7744/state", "before");

    sites.site.start();
    sites.await_bridge("1");
    sites.at_site = Mqtt5Client(sites.site.port(), sites.site.login("witness"));
    sites.at_site.subscribe("#");
    sites.await_commands();
    const auto [at_hub, at_site] = sites.settled();
    CHECK(std::ranges::count(at_site, "twc/policy/override/set") == 0);
}
