#include "twc-bus/health.hpp"

#include <fmt/format.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;

constexpr auto judged_time = 60s;
// Units announce themselves every 10 s.
constexpr auto time_to_show_up = 15s;
constexpr std::uint64_t enough_asked = 10;
constexpr double many_unanswered = 0.1;
constexpr double many_damaged = 0.02;

constexpr const char* red_blinks = "A unit that hears no master shows green on top and blinks red four times.";

Verdict wrong(std::string words) { return {.healthy = false, .words = std::move(words)}; }

double share(std::uint64_t part, std::uint64_t all) {
    return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

Verdict judge_silence(const LineCounters& passed) {
    if (passed.bytes == 0) {
        return wrong(
            fmt::format("nothing is heard: is a unit powered, set to slave (rotary switch at F) and wired, and "
                        "are A and B not swapped? {}",
                        red_blinks));
    }
    if (passed.echoes > 0) {
        return wrong(
            fmt::format("only our own frames come back: the adapter hears itself, but no unit answers. Are A "
                        "and B swapped, or is the unit not set to slave (rotary switch at F)? {}",
                        red_blinks));
    }
    return wrong(
        "bytes arrive, but no frame among them: A and B swapped, another speed than 9600 baud, another device on the "
        "line, or no ground and bias (680 ohm each)");
}

}  // namespace

void Health::sample(const LineCounters& counters, scheduling::Instant now) {
    samples_.push_back({now, counters});
    while (samples_.size() > 2 && now - samples_[1].at >= judged_time) {
        samples_.pop_front();
    }
}

Verdict Health::judge(const LineFacts& facts) const {
    if (!facts.up) {
        return wrong(facts.down_because);
    }
    if (facts.other_master) {
        return wrong("another master is on the line: two make each other fault; take one away");
    }
    if (!facts.shared_id.empty()) {
        return wrong(
            fmt::format("two units use the ID {}: press the reset button of one for 4 s, or take it off the line",
                        facts.shared_id));
    }
    if (facts.too_many) {
        return wrong("more than three units are on the line: the others get no current");
    }
    if (samples_.empty()) {
        return {.healthy = true, .words = "just started"};
    }
    const auto& first = samples_.front().counters;
    const auto& last = samples_.back().counters;
    const LineCounters passed{.bytes = last.bytes - first.bytes,
                              .frames = last.frames - first.frames,
                              .echoes = last.echoes - first.echoes,
                              .damaged = last.damaged - first.damaged,
                              .sent = last.sent - first.sent,
                              .asked = last.asked - first.asked,
                              .unanswered = last.unanswered - first.unanswered};
    const bool nobody = passed.frames == passed.echoes && passed.sent > 0;
    if (nobody && samples_.back().at - samples_.front().at >= time_to_show_up) {
        return judge_silence(passed);
    }
    if (!facts.deaf_charger.empty()) {
        return wrong(
            fmt::format("{} announces itself but does not answer: it cannot hear us. Does the adapter's "
                        "transmitter work, and is there a common ground? {}",
                        facts.deaf_charger, red_blinks));
    }
    if (passed.asked >= enough_asked && share(passed.unanswered, passed.asked) > many_unanswered) {
        return wrong(
            fmt::format("{:.0f} % of what was asked in the last minute got no answer: check ground, bias and "
                        "the length of the cable beside mains",
                        100 * share(passed.unanswered, passed.asked)));
    }
    if (share(passed.damaged, passed.damaged + passed.frames) > many_damaged) {
        return wrong(
            fmt::format("{:.0f} % of the frames of the last minute were damaged: check termination (120 ohm), "
                        "bias (680 ohm each) and ground",
                        100 * share(passed.damaged, passed.damaged + passed.frames)));
    }
    if (facts.chargers == 0) {
        return {.healthy = true, .words = "no unit answers yet"};
    }
    return {.healthy = true, .words = fmt::format("{} answering", facts.chargers)};
}

}  // namespace twc_bus
