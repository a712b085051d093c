#include "twc-bus/line_desk.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace twc_bus {

namespace {

using namespace std::chrono_literals;
using scheduling::Instant;

constexpr auto no_answer_after = 10s;
constexpr int announces_in_vain = 3;

nlohmann::json percentiles(const std::deque<double>& values) {
    std::vector<double> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    const auto at = [&](double share) {
        return sorted.at(static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1)));
    };
    return {{"p50", at(0.5)}, {"p95", at(0.95)}, {"p99", at(0.99)}};
}

bool answers(const Charger& charger, Instant now) {
    return charger.last_answer && now - *charger.last_answer <= no_answer_after;
}

}  // namespace

void LineDesk::on_up() {
    spdlog::info("{}: open", config_.port);
    was_tried_ = true;
    down_because_.clear();
    decoder_.reset();
}

void LineDesk::on_down(const std::string& why, bool was_up) {
    spdlog::warn("{}", why);
    was_tried_ = true;
    down_because_ = why;
    losses_ += was_up ? 1U : 0U;
}

std::vector<Bytes> LineDesk::on_bytes(std::span<const std::uint8_t> bytes) {
    bytes_ += bytes.size();
    return decoder_.feed(bytes);
}

std::string LineDesk::link_word(const BusMaster& master, Instant now) const {
    if (!master.link_up()) {
        return was_tried_ ? "down" : "opening";
    }
    const bool any_answer =
        std::ranges::any_of(master.chargers(), [&](const auto& item) { return answers(item.second, now); });
    return any_answer ? "ok" : "no_answer";
}

LineFacts LineDesk::facts(const BusMaster& master, Instant now) const {
    LineFacts facts{.up = master.link_up(),
                    .down_because = down_because_,
                    .other_master = master.hears_other_master(),
                    .too_many = master.too_many(now)};
    for (const auto& [id, charger] : master.chargers()) {
        facts.chargers += charger.linked && answers(charger, now) ? 1 : 0;
        if (charger.id_shared) {
            facts.shared_id = to_text(id);
        }
        if (charger.linked && charger.announcements >= announces_in_vain) {
            facts.deaf_charger = to_text(id);
        }
    }
    return facts;
}

void LineDesk::sample(const BusMaster& master, Instant now) {
    const auto& frames = decoder_.counters();
    const auto& statistics = master.statistics();
    health_.sample({.bytes = bytes_,
                    .frames = frames.frames,
                    .echoes = statistics.own_echoes,
                    .damaged = frames.bad_checksums + frames.bad_escapes + frames.bad_lengths,
                    .sent = transmitter_.sent(),
                    .asked = statistics.heartbeats + statistics.queries,
                    .unanswered = statistics.lost_answers},
                   now);
}

contract::BusLine LineDesk::state(const BusMaster& master, std::vector<std::string> chargers, Instant now) const {
    const auto verdict = health_.judge(facts(master, now));
    return {.link = link_word(master, now),
            .role = master.hears_other_master() ? "other master heard" : "master",
            .chargers = std::move(chargers),
            .healthy = verdict.healthy,
            .health = verdict.words};
}

nlohmann::json LineDesk::metrics(const BusMaster& master, Instant now) const {
    const auto& frames = decoder_.counters();
    const auto& statistics = master.statistics();
    nlohmann::json metrics{{"frames_sent", transmitter_.sent()},
                           {"frames_refused", transmitter_.refused()},
                           {"frames_received", frames.frames},
                           {"checksum_errors", frames.bad_checksums},
                           {"short_segments", frames.short_segments},
                           {"escape_errors", frames.bad_escapes},
                           {"length_errors", frames.bad_lengths},
                           {"unknown_frames", statistics.unknown_frames},
                           {"own_echoes", statistics.own_echoes},
                           {"heartbeats_sent", statistics.heartbeats},
                           {"queries_sent", statistics.queries},
                           {"lost_answers", statistics.lost_answers},
                           {"late_answers", statistics.late_answers},
                           {"collisions", statistics.collisions},
                           {"link_losses", losses_},
                           {"heartbeat_age_s", nlohmann::json::object()},
                           {"heartbeat_gap_ms", nlohmann::json::object()}};
    if (!statistics.answer_delays_ms.empty()) {
        metrics["answer_delay_ms"] = percentiles(statistics.answer_delays_ms);
    }
    for (const auto& [id, charger] : master.chargers()) {
        if (charger.last_answer) {
            metrics["heartbeat_age_s"][to_text(id)] = std::chrono::duration<double>(now - *charger.last_answer).count();
        }
        if (!charger.gaps_ms.empty()) {
            auto gaps = percentiles(charger.gaps_ms);
            gaps["longest"] = charger.longest_gap_ms;
            metrics["heartbeat_gap_ms"][to_text(id)] = std::move(gaps);
        }
    }
    return metrics;
}

}  // namespace twc_bus
