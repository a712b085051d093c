#include "ems-bridge/site.hpp"

#include <algorithm>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using scheduling::Duration;
using scheduling::Instant;

constexpr auto largest_skew = 30s;
constexpr int negative_house_periods = 3;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

bool is_power(Quantity quantity) {
    return quantity == Quantity::grid_w || quantity == Quantity::pv_w || quantity == Quantity::house_w ||
           quantity == Quantity::battery_w;
}

// A role filled by one source.
struct Picked {
    std::optional<double> value;
    const SourceView* from = nullptr;
    bool is_backup = false;
};

// A role filled by all its sources together.
struct Total {
    std::optional<double> value;
    bool is_configured = false;
};

class Combiner {
public:
    Combiner(const std::vector<SourceView>& sources, const Surroundings& surroundings, const SiteMemory& memory,
             Instant now)
        : sources_(sources), surroundings_(surroundings), now_(now) {
        picture_.memory = memory;
    }

    SitePicture run() {
        const Picked grid = pick(Role::grid, Quantity::grid_w);
        const Picked house = pick(Role::house, Quantity::house_w);
        const Total pv = total_pv(grid.value.has_value());
        const Total battery = total(Role::battery, Quantity::battery_w);
        auto& power = picture_.power;
        power.grid_w = grid.value;
        power.pv_w = pv.value;
        power.battery_w = battery.value;
        power.battery_soc_pct = state_of_charge();
        const bool is_estimated = derive(pv, battery, house);
        if (grid.from != nullptr && grid.value) {
            add_grid_details(*grid.from);
            power.grid_age_s = age_of(grid.from->statements.get(Quantity::grid_w)->at);
        }
        add_voltages();
        add_pv_energy();
        find_missing();
        add_ages();
        const bool is_partial = !power.missing.empty() || grid.is_backup || house.is_backup ||
                                (pv.is_configured && !pv.value) || (battery.is_configured && !battery.value) ||
                                skew() > largest_skew || house_stays_negative();
        power.quality = quality(is_estimated, is_partial);
        return std::move(picture_);
    }

private:
    std::optional<double> fresh(const SourceView& source, Quantity quantity) const {
        const auto statement = source.statements.fresh(quantity, source.member.stale_after, now_);
        return statement ? statement->value : std::nullopt;
    }

    // The value, noted as one that is shown.
    std::optional<double> use(const SourceView& source, Quantity quantity) {
        const auto statement = source.statements.fresh(quantity, source.member.stale_after, now_);
        if (!statement) {
            return std::nullopt;
        }
        used_.push_back(statement->at);
        if (is_power(quantity)) {
            powers_used_.push_back(statement->at);
        }
        const Instant end = statement->at + source.member.stale_after;
        picture_.valid_until = std::min(picture_.valid_until.value_or(end), end);
        return statement->value;
    }

    Picked pick(Role role, Quantity quantity) {
        bool is_first = true;
        for (const auto& source : sources_) {
            if (!source.member.roles.contains(role)) {
                continue;
            }
            if (fresh(source, quantity)) {
                return {.value = with_chargers(source, use(source, quantity)), .from = &source, .is_backup = !is_first};
            }
            is_first = false;
        }
        return {};
    }

    std::optional<double> with_chargers(const SourceView& source, std::optional<double> watts) const {
        if (source.member.includes_chargers || !watts) {
            return watts;
        }
        return surroundings_.charger_w ? std::optional(*watts + *surroundings_.charger_w) : std::nullopt;
    }

    Total total(Role role, Quantity quantity) {
        Total result;
        for (const auto& source : sources_) {
            if (!source.member.roles.contains(role)) {
                continue;
            }
            add(result, use(source, quantity));
        }
        return result;
    }

    // Once unknown, a total stays unknown.
    static void add(Total& total, std::optional<double> part) {
        if (!total.is_configured) {
            total = {.value = part, .is_configured = true};
        } else {
            total.value = total.value && part ? std::optional(*total.value + *part) : std::nullopt;
        }
    }

    Total total_pv(bool grid_is_fresh) {
        Total result;
        for (const auto& source : sources_) {
            if (!source.member.roles.contains(Role::pv)) {
                continue;
            }
            const bool is_silent = !fresh(source, Quantity::pv_w);
            if (is_silent) {
                const bool is_night = surroundings_.sun_is_down && grid_is_fresh;
                add(result, is_night ? std::optional(0.0) : std::nullopt);
                if (is_night) {
                    asleep_.push_back(&source);
                }
            } else if (source.statements.pv_asleep() && !shows_life_beside(source)) {
                add(result, std::nullopt);
            } else {
                add(result, std::max(0.0, *use(source, Quantity::pv_w)));
            }
        }
        return result;
    }

    bool shows_life_beside(const SourceView& sleeper) const {
        return surroundings_.sun_is_down || std::ranges::any_of(sources_, [&](const SourceView& source) {
                   const bool is_same = &source == &sleeper;
                   return fresh(source, Quantity::grid_w) || fresh(source, Quantity::battery_w) ||
                          (!is_same && !source.statements.pv_asleep() && gives_anything(source));
               });
    }

    bool gives_anything(const SourceView& source) const {
        constexpr std::array main_quantities{Quantity::grid_w, Quantity::pv_w, Quantity::house_w, Quantity::battery_w,
                                             Quantity::battery_soc_pct};
        return std::ranges::any_of(main_quantities,
                                   [&](Quantity quantity) { return fresh(source, quantity).has_value(); });
    }

    // Weighted by capacity if all are known, else the plain mean.
    std::optional<double> state_of_charge() {
        double weighted = 0;
        double capacity = 0;
        double plain = 0;
        int count = 0;
        bool all_known = true;
        for (const auto& source : sources_) {
            if (!source.member.roles.contains(Role::battery)) {
                continue;
            }
            const auto charge = use(source, Quantity::battery_soc_pct);
            if (!charge) {
                return std::nullopt;
            }
            all_known = all_known && source.member.battery_kwh.has_value();
            weighted += *charge * source.member.battery_kwh.value_or(0);
            capacity += source.member.battery_kwh.value_or(0);
            plain += *charge;
            ++count;
        }
        if (count == 0) {
            return std::nullopt;
        }
        return all_known && capacity > 0 ? weighted / capacity : plain / count;
    }

    // Fills house_w, and grid_w where no meter gives it. True when grid_w is derived.
    bool derive(const Total& pv, const Total& battery, const Picked& house) {
        auto& power = picture_.power;
        const bool battery_counts = !battery.is_configured || battery.value;
        const double battery_w = battery.value.value_or(0);
        bool is_estimated = false;
        if (power.grid_w && pv.value && battery_counts) {
            picture_.raw_house_w = *pv.value + *power.grid_w + battery_w;
        } else {
            picture_.raw_house_w = house.value;
            if (!power.grid_w && house.value && pv.value && battery_counts) {
                power.grid_w = *house.value - *pv.value - battery_w;
                is_estimated = true;
            }
        }
        if (picture_.raw_house_w) {
            power.house_w = std::max(0.0, *picture_.raw_house_w);
        }
        return is_estimated;
    }

    void add_grid_details(const SourceView& source) {
        constexpr std::array currents{Quantity::grid_l1_a, Quantity::grid_l2_a, Quantity::grid_l3_a};
        auto& power = picture_.power;
        for (std::size_t phase = 0; phase < currents.size() && source.member.includes_chargers; ++phase) {
            power.grid_a[phase] = use(source, currents[phase]);
        }
        power.import_kwh = use(source, Quantity::import_kwh);
        power.export_kwh = use(source, Quantity::export_kwh);
    }

    // From the grid meter if it has them, else from the first source that does: all hang on the same phases.
    void add_voltages() {
        constexpr std::array quantities{Quantity::voltage_l1_v, Quantity::voltage_l2_v, Quantity::voltage_l3_v};
        const auto has_volts = [&](const SourceView& source) {
            return std::ranges::any_of(quantities,
                                       [&](Quantity quantity) { return fresh(source, quantity).has_value(); });
        };
        auto best = std::ranges::find_if(sources_, [&](const SourceView& source) {
            return source.member.roles.contains(Role::grid) && has_volts(source);
        });
        if (best == sources_.end()) {
            best = std::ranges::find_if(sources_, has_volts);
        }
        for (std::size_t phase = 0; phase < quantities.size() && best != sources_.end(); ++phase) {
            picture_.power.voltage_v[phase] = use(*best, quantities[phase]);
        }
    }

    void add_pv_energy() { picture_.power.pv_kwh = total(Role::pv, Quantity::pv_kwh).value; }

    void find_missing() {
        for (const auto& source : sources_) {
            const bool is_asleep = std::ranges::find(asleep_, &source) != asleep_.end();
            if (!source.member.roles.empty() && !is_asleep && !fills_a_role(source)) {
                picture_.power.missing.push_back(source.member.name);
            }
        }
    }

    bool fills_a_role(const SourceView& source) const {
        const auto gives = [&](Role role, Quantity quantity) {
            return source.member.roles.contains(role) && fresh(source, quantity);
        };
        return gives(Role::grid, Quantity::grid_w) || gives(Role::pv, Quantity::pv_w) ||
               gives(Role::battery, Quantity::battery_w) || gives(Role::battery, Quantity::battery_soc_pct) ||
               gives(Role::house, Quantity::house_w);
    }

    double age_of(Instant at) const { return std::max(0.0, seconds(now_ - at)); }

    void add_ages() {
        if (shows_anything() && !used_.empty()) {
            picture_.power.age_s = age_of(*std::ranges::min_element(used_));
            if (picture_.power.grid_w && !picture_.power.grid_age_s) {
                picture_.power.grid_age_s = picture_.power.age_s;  // derived from all of them
            }
        }
    }

    Duration skew() const {
        if (powers_used_.empty()) {
            return Duration{0};
        }
        const auto [oldest, newest] = std::ranges::minmax(powers_used_);
        return newest - oldest;
    }

    bool shows_anything() const {
        const auto& power = picture_.power;
        return power.grid_w || power.pv_w || power.house_w || power.battery_w || power.battery_soc_pct;
    }

    // For a moment this is only the slower of two sources lagging behind.
    bool house_stays_negative() {
        auto& since = picture_.memory.house_negative_since;
        constexpr double tolerance_w = -1;
        if (!picture_.raw_house_w || *picture_.raw_house_w >= tolerance_w) {
            since.reset();
            return false;
        }
        since = since.value_or(now_);
        Duration slowest{0};
        for (const auto& source : sources_) {
            slowest = std::max(slowest, source.member.stale_after / negative_house_periods);
        }
        return now_ - *since > slowest * negative_house_periods;
    }

    std::string quality(bool is_estimated, bool is_partial) const {
        const auto has_grid = [](const SourceView& source) { return source.member.roles.contains(Role::grid); };
        const bool grid_configured = std::ranges::any_of(sources_, has_grid);
        const bool grid_heard = std::ranges::any_of(sources_, [&](const SourceView& source) {
            return has_grid(source) && source.statements.get(Quantity::grid_w).has_value();
        });
        const bool anything_heard =
            std::ranges::any_of(sources_, [](const SourceView& source) { return source.statements.heard(); });
        if (!shows_anything()) {
            return anything_heard ? "stale" : "error";
        }
        if (grid_configured && !picture_.power.grid_w) {
            return grid_heard ? "stale" : "error";
        }
        if (is_estimated) {
            return "estimated";
        }
        return is_partial ? "partial" : "ok";
    }

    const std::vector<SourceView>& sources_;
    const Surroundings& surroundings_;
    Instant now_;
    SitePicture picture_;
    std::vector<Instant> used_;
    std::vector<Instant> powers_used_;
    std::vector<const SourceView*> asleep_;
};

}  // namespace

void Statements::accept(Quantity quantity, std::optional<double> value, Instant at) {
    auto& newest = newest_[index_of(quantity)];
    if (newest && newest->at > at) {
        return;
    }
    newest = Statement{.value = value, .at = at};
    heard_ = heard_ || value.has_value();
    if (quantity == Quantity::pv_w) {
        pv_asleep_ = false;
    }
}

void Statements::accept(const Reading& reading, Instant at) {
    const auto& pv = get(Quantity::pv_w);
    const bool is_newest_pv = !pv || pv->at <= at;
    for (const Quantity quantity : all_quantities()) {
        accept(quantity, value_of(reading, quantity), at);
    }
    if (is_newest_pv) {
        pv_asleep_ = reading.pv_asleep;
    }
}

std::optional<Statement> Statements::fresh(Quantity quantity, Duration limit, Instant now) const {
    const auto& statement = get(quantity);
    const bool is_fresh = statement && statement->value && now - statement->at <= limit;
    return is_fresh ? statement : std::nullopt;
}

SitePicture combine(const std::vector<SourceView>& sources, const Surroundings& surroundings, const SiteMemory& memory,
                    Instant now) {
    return Combiner(sources, surroundings, memory, now).run();
}

}  // namespace ems_bridge
