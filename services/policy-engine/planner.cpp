#include "policy-engine/planner.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <tuple>

namespace policy_engine {

namespace {

using namespace std::chrono_literals;

constexpr std::array<const char*, 4> strategy_names{"cheapest", "co2", "latest", "continuous"};
constexpr std::array<const char*, 5> state_names{"reached", "waiting", "charging", "late", "overrun"};

constexpr Duration shortest_run = 10min;
constexpr Duration shortest_planned_run = 20min;
constexpr Duration shortest_pause = 20min;
constexpr double worth_a_pause = 0.05;  // of the mean price: by less it does not leave a running hour
constexpr Duration smallest_reserve = 10min;
constexpr double slowest_car = 0.8;       // of the planned power
constexpr Duration planning_step = 1min;  // how late a plan may notice that the time has come
constexpr double longest_charge_h = 24 * 366;
constexpr double smallest_kwh = 1e-6;  // less is rounding

double hours(Duration duration) { return seconds(duration) / 3600; }
double kwh(double power_w, Duration duration) { return power_w / 1000 * hours(duration); }

Duration charging_time(double energy_kwh, double power_w) {
    return from_seconds(3600 * std::min(energy_kwh * 1000 / power_w, longest_charge_h));
}

// A stretch in which nothing changes.
struct Segment {
    WallTime start{};
    WallTime end{};
    double full_w = 0;
    double surplus_w = 0;  // of the sun, at most full_w
    double sun_w = 0;      // what the car takes of it by itself
    std::optional<double> price{};
    double export_price = 0;
    std::optional<double> co2_g_kwh{};
    bool usable = false;  // early enough to be chosen
    bool chosen = false;

    Duration length() const { return end - start; }
    double extra_w() const { return full_w - sun_w; }
    double extra_kwh() const { return kwh(extra_w(), length()); }
    bool is_candidate() const { return usable && extra_w() > 0; }
};

using Segments = std::vector<Segment>;

// What an additional kWh weighs in this segment, given what its grid part weighs and what its sun part does.
std::optional<double> weight_of_extra(const Segment& segment, std::optional<double> grid, double sun) {
    if (!grid || segment.extra_w() <= 0) {
        return std::nullopt;
    }
    const double from_grid_w = segment.full_w - segment.surplus_w;
    const double from_sun_w = segment.surplus_w - segment.sun_w;
    return from_sun_w <= 0 ? *grid : (from_grid_w * *grid + from_sun_w * sun) / segment.extra_w();
}

std::optional<double> weight(const Segment& segment, PlanStrategy strategy) {
    switch (strategy) {
        case PlanStrategy::latest:
            return std::nullopt;
        case PlanStrategy::co2:
            return weight_of_extra(segment, segment.co2_g_kwh, 0);
        default:
            return weight_of_extra(segment, segment.price, segment.export_price);
    }
}

// Lower is better. Whole numbers, because equal prices must compare as equal.
struct Rank {
    bool unknown = true;
    std::int64_t micros = 0;
    std::int64_t order = 0;
    bool operator<(const Rank& other) const {
        return std::tie(unknown, micros, order) < std::tie(other.unknown, other.micros, other.order);
    }
};

Rank rank(const Segment& segment, PlanStrategy strategy) {
    const auto value = weight(segment, strategy);
    return {.unknown = !value,
            .micros = value ? std::llround(*value * 1e6) : 0,
            .order = -segment.start.time_since_epoch().count()};  // later first
}

bool costs_the_same(const Rank& a, const Rank& b) { return a.unknown == b.unknown && a.micros == b.micros; }

template <class Slot>
const Slot* slot_at(const std::vector<Slot>& slots, WallTime time) {
    const auto after = std::ranges::upper_bound(slots, time, {}, &Slot::start);
    return after != slots.begin() && time < std::prev(after)->end ? &*std::prev(after) : nullptr;
}

template <class Slot>
void add_edges(std::vector<WallTime>& edges, const std::vector<Slot>& slots) {
    for (const auto& slot : slots) {
        edges.push_back(slot.start);
        edges.push_back(slot.end);
    }
}

Segment segment_between(WallTime start, WallTime end, const ChargeTask& task, const Tariff& tariff,
                        const Forecast& forecast) {
    Segment segment{.start = start, .end = end, .full_w = task.full_w, .export_price = task.export_price.value_or(0)};
    if (const auto* slot = slot_at(tariff, start)) {
        segment.price = slot->import_price;
        segment.export_price = slot->export_price.value_or(segment.export_price);
        segment.co2_g_kwh = slot->co2_g_kwh;
    }
    if (const auto* slot = slot_at(forecast, start)) {
        segment.surplus_w = std::clamp(sun_confidence * slot->pv_w - task.house_w, 0.0, task.full_w);
        segment.sun_w = segment.surplus_w >= task.minimum_w ? segment.surplus_w : 0;
    }
    return segment;
}

// From now to `end`, cut wherever something changes and at `cuts`.
Segments segments_until(WallTime end, std::vector<WallTime> cuts, const ChargeTask& task, const Tariff& tariff,
                        const Forecast& forecast) {
    cuts.push_back(end);
    add_edges(cuts, tariff);
    add_edges(cuts, forecast);
    std::ranges::sort(cuts);
    Segments segments;
    WallTime start = task.now;
    for (const WallTime cut : cuts) {
        if (cut > start && cut <= end) {
            segments.push_back(segment_between(start, cut, task, tariff, forecast));
            start = cut;
        }
    }
    return segments;
}

bool is_chosen(const Segments& segments, std::size_t index) {
    return index < segments.size() && segments[index].chosen;
}

// Cuts a segment in two; true if there are two now, the first of them at `index`.
bool split(Segments& segments, std::size_t index, WallTime at) {
    if (at <= segments[index].start || at >= segments[index].end) {
        return false;
    }
    Segment second = segments[index];
    second.start = at;
    segments[index].end = at;
    segments.insert(segments.begin() + static_cast<std::ptrdiff_t>(index) + 1, second);
    return true;
}

void choose_between(Segments& segments, WallTime start, WallTime end) {
    for (std::size_t i = 0; i < segments.size(); ++i) {
        split(segments, i, start);
        split(segments, i, end);
        segments[i].chosen = segments[i].chosen || (segments[i].start >= start && segments[i].end <= end);
    }
}

enum class Side { front, back };

// Where a part of a segment leads on from what is chosen beside it; if nothing is: as late as possible.
Side side_to_join(const Segments& segments, std::size_t index) {
    const bool before = index > 0 && segments[index - 1].chosen;
    return before && !is_chosen(segments, index + 1) ? Side::front : Side::back;
}

// Chooses the segment or, if it gives more than is needed, a part of it. Returns what is still needed.
double choose(Segments& segments, std::size_t index, double need_kwh, Side side) {
    const double extra_kwh = segments[index].extra_kwh();
    if (extra_kwh <= need_kwh + smallest_kwh) {
        segments[index].chosen = true;
        return need_kwh - extra_kwh;
    }
    const auto part = from_seconds(seconds(segments[index].length()) * need_kwh / extra_kwh);
    const Segment whole = segments[index];
    const bool cut = split(segments, index, side == Side::front ? whole.start + part : whole.end - part);
    segments[cut && side == Side::back ? index + 1 : index].chosen = true;
    return 0;
}

double mean_price(const Segments& segments, PlanStrategy strategy) {
    double sum = 0;
    int count = 0;
    for (const auto& segment : segments) {
        if (const auto value = weight(segment, strategy); value && segment.is_candidate()) {
            sum += std::abs(*value);
            ++count;
        }
    }
    return count > 0 ? sum / count : 0;
}

struct Candidate {
    std::size_t index = 0;
    Rank rank{};
    bool running = false;
};

// Best first. What is running keeps its place unless another is clearly better, and is taken from the front.
std::vector<Candidate> candidates(const Segments& segments, PlanStrategy strategy, bool running) {
    const auto margin = std::llround(worth_a_pause * mean_price(segments, strategy) * 1e6);
    std::vector<Candidate> list;
    bool still_running = running;
    for (std::size_t i = 0; i < segments.size(); ++i) {
        Candidate candidate{.index = i, .rank = rank(segments[i], strategy)};
        still_running =
            still_running && segments[i].usable && costs_the_same(candidate.rank, rank(segments[0], strategy));
        if (still_running) {
            candidate.running = true;
            candidate.rank.micros -= margin;
            candidate.rank.order = std::numeric_limits<std::int64_t>::min() + static_cast<std::int64_t>(i);
        }
        if (segments[i].is_candidate()) {
            list.push_back(candidate);
        }
    }
    std::ranges::sort(list, [](const auto& a, const auto& b) { return a.rank < b.rank; });
    return list;
}

void choose_best(Segments& segments, double need_kwh, PlanStrategy strategy, bool running) {
    for (const auto& candidate : candidates(segments, strategy, running)) {
        if (need_kwh <= smallest_kwh) {
            return;
        }
        // Only the last one is split, so that the indices of those before hold.
        need_kwh = choose(segments, candidate.index, need_kwh,
                          candidate.running ? Side::front : side_to_join(segments, candidate.index));
    }
}

// One past the last segment of the run that begins at `first`.
std::size_t end_of_run(const Segments& segments, std::size_t first) {
    std::size_t last = first;
    while (is_chosen(segments, last)) {
        ++last;
    }
    return last;
}

// The first run that is too short; none if there is none, or no other run to add it to. What is kept before the
// deadline may be short, and a run that goes on began long ago.
std::optional<std::size_t> find_sliver(const Segments& segments, bool running) {
    std::optional<std::size_t> sliver;
    std::size_t runs = 0;
    for (std::size_t i = 0; i < segments.size(); ++i) {
        if (!segments[i].chosen || (i > 0 && segments[i - 1].chosen)) {
            continue;
        }
        ++runs;
        const std::size_t end = end_of_run(segments, i);
        const bool may_be_short = (running && i == 0) || end == segments.size();
        if (!sliver && !may_be_short && segments[end - 1].end - segments[i].start < shortest_planned_run) {
            sliver = i;
        }
    }
    return runs > 1 ? sliver : std::nullopt;
}

// Lengthens runs at their cheapest ends; false if there is no room.
bool lengthen_runs(Segments& segments, double need_kwh, PlanStrategy strategy) {
    while (need_kwh > smallest_kwh) {
        std::optional<std::size_t> best;
        for (std::size_t i = 0; i < segments.size(); ++i) {
            const bool beside_a_run = (i > 0 && segments[i - 1].chosen) || is_chosen(segments, i + 1);
            if (segments[i].is_candidate() && !segments[i].chosen && beside_a_run &&
                (!best || rank(segments[i], strategy) < rank(segments[*best], strategy))) {
                best = i;
            }
        }
        if (!best) {
            return false;
        }
        need_kwh = choose(segments, *best, need_kwh, side_to_join(segments, *best));
    }
    return true;
}

void mend_slivers(Segments& segments, PlanStrategy strategy, bool running) {
    while (const auto sliver = find_sliver(segments, running)) {
        Segments mended = segments;
        double moved_kwh = 0;
        for (std::size_t i = *sliver, end = end_of_run(segments, *sliver); i < end; ++i) {
            mended[i].chosen = false;
            mended[i].usable = false;
            moved_kwh += mended[i].extra_kwh();
        }
        if (!lengthen_runs(mended, moved_kwh, strategy)) {
            return;
        }
        segments = std::move(mended);
    }
}

// The first pause between two runs that is hardly worth it: from its first segment to one past its last.
std::optional<std::pair<std::size_t, std::size_t>> find_short_pause(const Segments& segments) {
    for (std::size_t i = 1; i < segments.size(); ++i) {
        if (segments[i].chosen || !segments[i - 1].chosen) {
            continue;
        }
        std::size_t end = i;
        while (end < segments.size() && !segments[end].chosen) {
            ++end;
        }
        if (end < segments.size() && segments[end].start - segments[i].start < shortest_pause) {
            return std::pair(i, end);
        }
    }
    return std::nullopt;
}

// Takes away a segment at the end of a run, or what is not needed of it.
double shed(Segments& segments, std::size_t index, double spare_kwh) {
    const double extra_kwh = segments[index].extra_kwh();
    if (extra_kwh <= spare_kwh + smallest_kwh) {
        segments[index].chosen = false;
        return spare_kwh - extra_kwh;
    }
    const bool at_front = is_chosen(segments, index + 1);
    const auto part = from_seconds(seconds(segments[index].length()) * spare_kwh / extra_kwh);
    const Segment whole = segments[index];
    const bool cut = split(segments, index, at_front ? whole.start + part : whole.end - part);
    segments[cut && !at_front ? index + 1 : index].chosen = false;
    return 0;
}

// Shortens runs at their dearest ends; what is running keeps its beginning.
void shorten_runs(Segments& segments, double spare_kwh, PlanStrategy strategy, bool running) {
    while (spare_kwh > smallest_kwh) {
        std::optional<std::size_t> worst;
        for (std::size_t i = running ? 1 : 0; i < segments.size(); ++i) {
            const bool inside = i > 0 && segments[i - 1].chosen && is_chosen(segments, i + 1);
            if (segments[i].chosen && segments[i].is_candidate() && !inside &&
                (!worst || rank(segments[*worst], strategy) < rank(segments[i], strategy))) {
                worst = i;
            }
        }
        if (!worst) {
            return;
        }
        spare_kwh = shed(segments, *worst, spare_kwh);
    }
}

// Charges on through short pauses, and ends earlier or begins later for it.
void mend_pauses(Segments& segments, PlanStrategy strategy, bool running) {
    while (const auto pause = find_short_pause(segments)) {
        double added_kwh = 0;
        for (std::size_t i = pause->first; i < pause->second; ++i) {
            segments[i].chosen = true;
            added_kwh += segments[i].extra_kwh();
        }
        shorten_runs(segments, added_kwh, strategy, running);
    }
}

struct Window {
    WallTime start{};
    WallTime end{};
};

// The stretch from one segment on (or back) that gives what is needed; none if the usable ones end before.
template <class Iterator>
std::optional<WallTime> far_end(Iterator from, Iterator end, double need_kwh, bool forward) {
    for (; from != end && from->usable; ++from) {
        const double extra_kwh = from->extra_kwh();
        if (extra_kwh + smallest_kwh >= need_kwh) {
            const auto part = from_seconds(seconds(from->length()) * std::min(1.0, need_kwh / extra_kwh));
            return forward ? from->start + part : from->end - part;
        }
        need_kwh -= extra_kwh;
    }
    return std::nullopt;
}

// Of what a window adds: first how much of it has an unknown price, then what it costs, then how early it begins.
std::array<std::int64_t, 3> score(const Segments& segments, const Window& window, PlanStrategy strategy) {
    double unknown_kwh = 0;
    double cost = 0;
    for (const auto& segment : segments) {
        const auto length = std::min(segment.end, window.end) - std::max(segment.start, window.start);
        if (length <= Duration::zero()) {
            continue;
        }
        const double extra_kwh = kwh(segment.extra_w(), length);
        const auto value = weight(segment, strategy);
        unknown_kwh += value ? 0 : extra_kwh;
        cost += value.value_or(0) * extra_kwh;
    }
    return {std::llround(unknown_kwh * 1e3), std::llround(cost * 1e5), -window.start.time_since_epoch().count()};
}

// What a window of fixed energy costs changes evenly as it slides over a segment: the best one begins or ends at an
// edge.
void choose_window(Segments& segments, double need_kwh, PlanStrategy strategy) {
    std::optional<Window> best;
    const auto consider = [&](const Window& window) {
        if (!best || score(segments, window, strategy) < score(segments, *best, strategy)) {
            best = window;
        }
    };
    for (auto segment = segments.begin(); segment != segments.end(); ++segment) {
        if (const auto end = far_end(segment, segments.end(), need_kwh, true)) {
            consider({segment->start, *end});
        }
        if (const auto start =
                far_end(std::make_reverse_iterator(std::next(segment)), segments.rend(), need_kwh, false)) {
            consider({*start, segment->end});
        }
    }
    if (best) {
        choose_between(segments, best->start, best->end);
    }
}

// A run that has only begun goes on, and no pause is made that is hardly worth it.
void bridge(Segments& segments, const ChargeTask& task) {
    if (!task.running_since || segments.empty() || segments.front().chosen) {
        return;
    }
    choose_between(segments, task.now, std::max(task.now, *task.running_since + shortest_run));
    const auto next = std::ranges::find_if(segments, [](const auto& segment) { return segment.chosen; });
    if (next != segments.end() && next->start - task.now < shortest_pause) {
        choose_between(segments, task.now, next->start);
    }
}

// Adds up what the plan gives until the goal is reached: energy, cost, CO2.
class Account {
public:
    explicit Account(double needed_kwh) : remaining_kwh_(needed_kwh) {}

    void add(Plan& plan, const Segment& segment) {
        const double power_w = segment.chosen ? segment.full_w : segment.sun_w;
        const double energy_kwh = std::min(kwh(power_w, segment.length()), remaining_kwh_);
        remaining_kwh_ -= energy_kwh;
        if (segment.chosen) {
            add_run(plan, segment, energy_kwh);
        } else {
            plan.sun_kwh += energy_kwh;
        }
        const double sun_kwh = power_w > 0 ? energy_kwh * std::min(1.0, segment.surplus_w / power_w) : 0;
        spend(plan.cost, segment.price, energy_kwh - sun_kwh);
        spend(plan.cost, segment.export_price, sun_kwh);
        spend(plan.co2_g, segment.co2_g_kwh, energy_kwh - sun_kwh);
    }

private:
    static void spend(std::optional<double>& sum, std::optional<double> per_kwh, double energy_kwh) {
        if (energy_kwh <= smallest_kwh || !sum) {
            return;
        }
        sum = per_kwh ? std::optional(*sum + *per_kwh * energy_kwh) : std::nullopt;
    }

    static void add_run(Plan& plan, const Segment& segment, double energy_kwh) {
        if (!plan.runs.empty() && plan.runs.back().end == segment.start) {
            plan.runs.back().end = segment.end;
            plan.runs.back().energy_kwh += energy_kwh;
        } else if (energy_kwh > smallest_kwh || plan.runs.empty()) {
            plan.runs.push_back({segment.start, segment.end, energy_kwh});
        }
    }

    double remaining_kwh_;
};

void fill(Plan& plan, const Segments& segments, const ChargeTask& task) {
    plan.cost = 0;
    plan.co2_g = 0;
    Account account(task.needed_kwh);
    for (const auto& segment : segments) {
        account.add(plan, segment);
    }
    plan.charge_now = is_chosen(segments, 0);
    if (plan.charge_now) {
        plan.next_change = plan.runs.front().end;
    } else {
        plan.next_change = plan.runs.empty() ? plan.latest_start : std::min(plan.runs.front().start, plan.latest_start);
    }
}

void charge_straight(Plan& plan, const ChargeTask& task, const Tariff& tariff, const Forecast& forecast) {
    const WallTime end = task.now + charging_time(task.needed_kwh, task.full_w);
    auto segments = segments_until(end, {}, task, tariff, forecast);
    choose_between(segments, task.now, end);
    fill(plan, segments, task);
    plan.charge_now = true;
}

// The last part before the deadline that is kept for charging.
struct Kept {
    Duration time{0};  // of charging at full current that is left to it
    WallTime start{};  // when it begins
};

Kept kept_part(const ChargeTask& task, Duration needed_time) {
    const Duration slow_time = from_seconds(seconds(needed_time) / slowest_car) + planning_step;
    const Duration held = from_seconds(slowest_car * seconds(task.precondition - planning_step));
    const bool in_it = task.running_since && task.now >= task.deadline - task.precondition;
    const Duration length = in_it ? task.precondition : std::min(task.precondition, slow_time);
    return {.time = std::clamp(held, Duration::zero(), needed_time),
            .start = std::max(task.now, task.deadline - length)};
}

void choose_hours(Plan& plan, const ChargeTask& task, const Kept& kept, Segments segments) {
    const bool running = task.running_since.has_value();
    const bool late_as_safe = task.strategy == PlanStrategy::continuous && task.precondition > Duration::zero();
    const auto strategy = late_as_safe ? PlanStrategy::latest : task.strategy;
    const Duration needed_time = charging_time(task.needed_kwh, task.full_w);
    const WallTime usable_until = std::min(kept.start, task.deadline - plan_reserve(needed_time));

    double need_kwh = task.needed_kwh - kwh(task.full_w, kept.time);
    for (auto& segment : segments) {
        segment.chosen = segment.start >= kept.start;
        segment.usable = segment.end <= usable_until;
        need_kwh -= segment.chosen ? 0 : kwh(segment.sun_w, segment.length());
    }
    if (strategy != PlanStrategy::continuous) {
        choose_best(segments, need_kwh, strategy, running);
        mend_pauses(segments, strategy, running);
        mend_slivers(segments, strategy, running);
        mend_pauses(segments, strategy, running);
    } else if (need_kwh > smallest_kwh) {
        choose_window(segments, need_kwh, strategy);
    }
    bridge(segments, task);
    fill(plan, segments, task);
    plan.state = plan.charge_now ? PlanState::charging : PlanState::waiting;
}

}  // namespace

const char* name_of(PlanStrategy strategy) { return strategy_names.at(static_cast<std::size_t>(strategy)); }

std::optional<PlanStrategy> strategy_named(const std::string& name) {
    const auto* const found = std::ranges::find(strategy_names, name);
    return found == strategy_names.end() ? std::nullopt
                                         : std::optional(static_cast<PlanStrategy>(found - strategy_names.begin()));
}

const char* name_of(PlanState state) { return state_names.at(static_cast<std::size_t>(state)); }

Duration plan_reserve(Duration charging_time) {
    return smallest_reserve + from_seconds(seconds(charging_time) * (1 / slowest_car - 1));
}

Plan plan_charge(const ChargeTask& task, const Tariff& tariff, const Forecast& forecast) {
    Plan plan{.latest_start = task.deadline};
    if (task.needed_kwh <= 0) {
        return plan;
    }
    const bool over = task.now >= task.deadline;
    if (task.full_w <= 0) {  // nothing is known of how long it takes
        plan.state = over ? PlanState::overrun : PlanState::late;
        plan.charge_now = true;
        plan.can_be_met = false;
        return plan;
    }
    const Duration needed_time = charging_time(task.needed_kwh, task.full_w);
    const Kept kept = kept_part(task, needed_time);
    const bool all_kept = kept.time >= needed_time;
    plan.can_be_met = task.now + needed_time <= task.deadline;
    plan.latest_start = all_kept ? kept.start : task.deadline - needed_time - plan_reserve(needed_time);
    if (over || (!all_kept && task.now >= plan.latest_start)) {
        const bool late = task.now > plan.latest_start + planning_step;
        plan.state = over ? PlanState::overrun : late ? PlanState::late : PlanState::charging;
        charge_straight(plan, task, tariff, forecast);
    } else if (task.strategy == PlanStrategy::continuous && task.running_since) {
        plan.state = PlanState::charging;
        charge_straight(plan, task, tariff, forecast);
    } else {
        const WallTime usable_until = std::min(kept.start, task.deadline - plan_reserve(needed_time));
        choose_hours(plan, task, kept,
                     segments_until(task.deadline, {usable_until, kept.start}, task, tariff, forecast));
    }
    return plan;
}

}  // namespace policy_engine
