#include "policy-engine/charger_memory.hpp"

#include <algorithm>
#include <cmath>

#include "policy-engine/limits.hpp"

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr double largest_gap_a = 1.5;
constexpr double gap_learning_rate = 0.1;
constexpr double has_followed_a = 1;
// A slow answer is believed at once: to take a slow car for a full one costs more than to wait for a quick one.
constexpr int quicker_by_parts = 10;

// The rules take it from where it is.
void take_over(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
               ChargerMemory& memory) {
    if (!memory.drawing) {
        return;
    }
    const double minimum = minimum_a(settings, inputs.bus);
    memory.on = true;
    memory.value = config.value.start_level;
    memory.target_a = std::max(
        {minimum, std::floor(charger.offered_a.value_or(memory.target_a)), std::ceil(charger.drawn_a.value_or(0))});
    memory.target_changed_at = inputs.now;
    memory.turn_since = inputs.now;
}

ChargerMemory adopt(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger) {
    ChargerMemory memory{.id = charger.id};
    memory.target_changed_at = inputs.now;
    memory.drawing_since = inputs.now;
    memory.turn_ended_at = inputs.now;
    memory.plugged = charger.plugged;
    memory.plugged_changed_at = inputs.now - long_ago;
    memory.drawing = charger.drawn_a.value_or(0) >= drawing_a;
    memory.has_drawn = memory.drawing;
    if (!charger.online) {
        memory.lost_at = inputs.now;
    }
    take_over(config, settings, inputs, charger, memory);
    return memory;
}

void recognise(const Config& config, const Settings& settings, const Inputs& inputs, Memory& memory) {
    if (std::ranges::equal(memory.chargers, inputs.chargers, {}, &ChargerMemory::id, &Charger::id)) {
        return;
    }
    std::vector<ChargerMemory> chargers;
    for (const auto& charger : inputs.chargers) {
        const auto known = std::ranges::find(memory.chargers, charger.id, &ChargerMemory::id);
        chargers.push_back(known == memory.chargers.end() ? adopt(config, settings, inputs, charger)
                                                          : std::move(*known));
    }
    memory.chargers = std::move(chargers);
}

void follow_plug(const Charger& charger, Instant now, ChargerMemory& memory) {
    if (!charger.plugged || charger.plugged == memory.plugged) {
        return;
    }
    if (memory.plugged) {
        memory.plugged_changed_at = now;
    }
    if (*charger.plugged) {
        memory.session = {};
    }
    memory.plugged = charger.plugged;
    memory.stop = StopStep::none;
    memory.start_asked_at.reset();
    memory.start_attempts = 0;
    memory.lag = usual_lag;  // it may be another car
}

void learn_lag(double drawn_a, Instant now, ChargerMemory& memory) {
    const bool is_news = memory.drawing && memory.target_a > 0 && memory.lag_seen_for != memory.target_changed_at;
    const double left_a = std::abs(memory.target_a - memory.gap_a - drawn_a);
    if (!is_news || left_a > has_followed_a || memory.drawing_since > memory.target_changed_at) {
        return;
    }
    memory.lag_seen_for = memory.target_changed_at;
    const Duration took = now - memory.target_changed_at;
    memory.lag = took > memory.lag ? took : memory.lag - (memory.lag - took) / quicker_by_parts;
}

void follow_draw(double drawn_a, const Charger& charger, Instant now, ChargerMemory& memory) {
    memory.drawn.add(charger.received_at, drawn_a);
    const bool drawing = drawn_a >= drawing_a;
    if (drawing != memory.drawing) {
        memory.drawing = drawing;
        memory.drawing_since = now;
        memory.has_drawn = true;
        memory.starts_today += drawing ? 1 : 0;
    }
    learn_lag(drawn_a, now, memory);
    const double gap_a = memory.target_a - drawn_a;
    const bool settled = drawing && now - memory.target_changed_at > settling_time(memory);
    if (settled && gap_a >= 0 && gap_a < not_following_a) {
        memory.gap_a += gap_learning_rate * (std::min(gap_a, largest_gap_a) - memory.gap_a);
    }
}

// After a restart twc-bus knows the charger before the charger has answered.
void follow_presence(const Config& config, const Settings& settings, const Inputs& inputs, const Charger& charger,
                     ChargerMemory& memory) {
    if (!charger.online) {
        memory.lost_at = memory.lost_at.value_or(inputs.now);
    } else if (memory.lost_at && charger.drawn_a) {
        memory.lost_at.reset();
        take_over(config, settings, inputs, charger, memory);  // the car may have gone on
    }
}

}  // namespace

Duration settling_time(const ChargerMemory& memory) { return std::clamp<Duration>(2 * memory.lag, 10s, 3min); }

void follow_chargers(const Config& config, const Settings& settings, const Inputs& inputs, Memory& memory) {
    recognise(config, settings, inputs, memory);
    for (std::size_t i = 0; i < inputs.chargers.size(); ++i) {
        const Charger& charger = inputs.chargers[i];
        ChargerMemory& own = memory.chargers[i];
        if (memory.local_day != inputs.local_day) {
            own.starts_today = 0;
        }
        follow_plug(charger, inputs.now, own);
        if (charger.drawn_a) {
            follow_draw(*charger.drawn_a, charger, inputs.now, own);
        }
        follow_presence(config, settings, inputs, charger, own);
    }
}

}  // namespace policy_engine
