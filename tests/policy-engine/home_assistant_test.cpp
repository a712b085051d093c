#include "policy-engine/home_assistant.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "policy-engine/settings.hpp"
#include "service/service_host.hpp"

using policy_engine::Settings;
using policy_engine::SettingView;

namespace {

bool takes(const char* name, const std::string& payload) {
    Settings settings;
    try {
        policy_engine::change_setting(settings, name, payload);
        return true;
    } catch (const service::Rejected&) {
        return false;
    } catch (const contract::Invalid&) {
        return false;
    }
}

}  // namespace

TEST_CASE("home assistant: every setting of the site can be set there, but for the two that are too long") {
    const auto settings = policy_engine::settings_to_json({});
    for (const auto& each : settings.items()) {
        const std::string& name = each.key();
        CAPTURE(name);
        const bool is_shown = std::ranges::any_of(policy_engine::setting_views(),
                                                  [&](const SettingView& view) { return name == view.name; });
        const bool is_too_long = name == "schedule" || name == "plans";
        const bool is_no_setting = name == "charger" || name == "vehicle";
        CHECK(is_shown != (is_too_long || is_no_setting));
    }
    for (const auto& view : policy_engine::setting_views()) {
        CAPTURE(view.name);
        CHECK(policy_engine::is_setting(view.name));
    }
}

TEST_CASE("home assistant: the range of a number is exactly what its setting takes") {
    for (const auto& view : policy_engine::setting_views()) {
        if (view.shape != SettingView::Shape::number) {
            continue;
        }
        CAPTURE(view.name);
        CHECK(takes(view.name, fmt::format("{}", view.range.min)));
        CHECK(takes(view.name, fmt::format("{}", view.range.max)));
        CHECK_FALSE(takes(view.name, fmt::format("{}", view.range.min - view.step)));
        CHECK_FALSE(takes(view.name, fmt::format("{}", view.range.max + view.step)));
        CHECK(takes(view.name, "none") == view.may_be_unset);
    }
}

TEST_CASE("home assistant: the words of a choice are exactly those its setting takes") {
    for (const auto& view : policy_engine::setting_views()) {
        CAPTURE(view.name);
        if (view.shape == SettingView::Shape::flag) {
            CHECK(takes(view.name, "on"));
            CHECK(takes(view.name, "off"));
            CHECK_FALSE(takes(view.name, "5"));
        } else if (view.shape == SettingView::Shape::choice) {
            for (const char* word : view.choices) {
                CHECK(takes(view.name, word));
            }
            try {
                Settings settings;
                policy_engine::change_setting(settings, view.name, "nonsense");
                FAIL("taken");
            } catch (const service::Rejected& error) {
                for (const char* word : view.choices) {
                    CHECK(error.expected().find(word) != std::string::npos);
                }
            }
        }
    }
}

TEST_CASE("home assistant: a charger and a car have their settings on the devices of those who know them") {
    const contract::Topics topics("twc");
    const auto devices = policy_engine::announced_devices(topics, {"7744"}, {"kestrel"});
    REQUIRE(devices.size() == 3);
    CHECK(devices[0].key == "controller");
    CHECK(devices[1].key == "charger_7744");
    CHECK(devices[1].availability_topics == std::vector<std::string>{"twc/charger/7744/availability"});
    CHECK(devices[2].key == "vehicle_kestrel");
    CHECK(devices[2].availability_topics.empty());
}
