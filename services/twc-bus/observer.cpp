#include "twc-bus/observer.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;

constexpr auto publish_period = 1s;
constexpr auto heard_within = 10s;

}  // namespace

Observer::Observer(const RoleConfig& config, service::Environment& environment, ByteSource& line)
    : environment_(environment), line_(line), view_(config, "listen", environment), scope_(environment.loop) {
    scope_.call_every(publish_period, [this] { publish(); });
    line_.open({.bytes = [this](std::span<const std::uint8_t> bytes) { view_.on_bytes(bytes); },
                .up =
                    [this] {
                        view_.on_up();
                        publish();
                    },
                .down =
                    [this](const std::string& why) {
                        view_.on_down(why);
                        publish();
                    }});
    publish();
}

Observer::~Observer() { line_.close(); }

std::string Observer::link_word() const {
    if (!view_.link_up()) {
        return view_.link_word();
    }
    const auto heard = view_.picture().heard();
    return heard && environment_.loop.now() - *heard <= heard_within ? "ok" : "no_answer";
}

std::string Observer::reason() const {
    if (!view_.link_up()) {
        return view_.link_reason();
    }
    if (view_.hears_only_noise()) {
        return "listening: bytes come, but no frame is among them; check A and B, the ground and the baud rate";
    }
    std::vector<std::string> masters;
    for (const auto id : view_.picture().masters()) {
        masters.push_back(to_text(id));
    }
    const auto present = view_.present_units();
    const auto units = std::ranges::count_if(present, [&](UnitId id) { return !view_.picture().is_master(id); });
    if (masters.empty()) {
        return units == 0   ? "listening: nobody is heard"
               : units == 1 ? "listening: no master is heard, 1 charger looks for one"
                            : fmt::format("listening: no master is heard, {} chargers look for one", units);
    }
    if (masters.size() > 1) {
        return fmt::format("listening: masters {} are on one line, which is a fault", fmt::join(masters, " and "));
    }
    if (units == 0) {
        return fmt::format("listening: master {}, no charger answers it", masters.front());
    }
    return fmt::format("listening: master {} with {} {}", masters.front(), units, units == 1 ? "charger" : "chargers");
}

void Observer::publish() {
    const auto words = reason();
    if (words != shown_reason_ && view_.link_up()) {
        spdlog::info("{}", words);
        shown_reason_ = words;
    }
    const auto masters = view_.picture().masters();
    view_.publish({.link = link_word(),
                   .role = "listen",
                   .master = masters.size() == 1 ? std::optional(to_text(masters.front())) : std::nullopt,
                   .granted_a = view_.limit_sum_ca() / 100.0,
                   .drawn_a = view_.drawn_sum_ca() / 100.0,
                   .reason = words});
}

}  // namespace twc_bus
