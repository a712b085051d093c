// The whole of what decides on the bus, byte for byte and in virtual time, against random units, cars, lines and
// wishes. A failure names its seed; TWC_BUS_SEED runs that one alone, TWC_BUS_SECONDS sets how long all seeds run
// together.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

#include <doctest/doctest.h>

#include "slave_model.hpp"
#include "twc-bus/charger_view.hpp"
#include "twc-bus/fleet.hpp"
#include "twc-bus/fuse_guard.hpp"
#include "twc-bus/session.hpp"
#include "twc-bus/setpoints.hpp"
#include "twc-bus/transmit_filter.hpp"

using namespace std::chrono_literals;
using namespace twc_bus;
using scheduling::Instant;
using slave_model::Slave;

namespace {

constexpr auto step = 20ms;
// A unit told 0 that knows no 0 may take 6 A when a car comes, until the others have followed (README of twc-bus).
constexpr auto plug_in_grace = 12s;
// A sample a second, an answer to the new limit, and the 5 s a car has to follow it.
constexpr auto overload_ends_within = 10s;
constexpr int most_units = 3;

long seconds_of_all_seeds() {
    if (const char* chosen = std::getenv("TWC_BUS_SECONDS")) {  // NOLINT(concurrency-mt-unsafe)
        return std::atol(chosen);                               // NOLINT(cert-err34-c)
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
    return 60'000;
#else
    return 1'000'000;
#endif
}

/// A bus with random units, the master with all that surrounds it in the process, and a house that draws as it likes.
class World {
public:
    explicit World(unsigned seed) : random_(seed) {
        limits_ = {.wiring_ca = between(24, 64) * 100, .charger_max_ca = 0};
        limits_.charger_max_ca = std::min(limits_.wiring_ca, between(16, 32) * 100);
        lines_.resize(chance(0.3) ? 2 : 1);
        care_.restart_pause = chance(0.5) ? 60s : 0s;
        const int units = between(1, most_units + static_cast<int>(lines_.size()) - 1);
        for (int i = 0; i < units; ++i) {
            add_unit(static_cast<UnitId>(0x7700 + i), i == 0 ? 0 : lines_.size() - 1);
        }
        limits_.reserve_for_idle = chance(0.3);
        if (units > 1 && chance(0.5)) {
            limits_.circuits.push_back({.name = "the limit of circuit garage",
                                        .ca = between(12, 32) * 100,
                                        .line = {},
                                        .members = std::set<UnitId>{0x7700, 0x7701}});
        }
        if (chance(0.4)) {
            fuse_ca_ = between(6 * units + 20, 63) * 100;
        }
        start(false);
    }

    /// One stretch with the same faults and mostly the same wishes. `sound`: a line and people without faults.
    void live(scheduling::Duration duration, bool sound) {
        choose_faults(sound);
        for (const Instant end = now_ + duration; now_ < end;) {
            advance();
        }
    }

    void meddle() {
        for (auto& unit : units_) {
            auto& slave = unit.slave;
            slave.wants_ca = between(6, 32) * 100;
            slave.mute = chance(0.04);
            slave.deaf = chance(0.04);
            if (chance(0.1) && slave.plugged) {
                slave.unplug();
            } else if (chance(0.4) && !slave.plugged) {
                slave.plug_in();
                unit.unseen = plug_in_grace;
            }
            if (chance(0.03)) {
                slave.reset(now_);
            }
        }
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            if (chance(0.1)) {
                set_line(line, !lines_[line].up);
            }
        }
        if (chance(0.05)) {
            start(true);
        }
        if (chance(0.03)) {
            setpoints_->set_estop(!setpoints_->estop());
        }
        storms_ = chance(0.2);
        lapses_ = chance(0.2);
        house_ca_ = chance(0.5) ? between(0, fuse_ca_.value_or(0) - 600 * static_cast<int>(units_.size())) : house_ca_;
        meter_silent_ = chance(0.1);
    }

    /// Ends all faults and asks for what fits; then everyone must get it.
    void settle() {
        for (auto& unit : units_) {
            unit.slave.mute = unit.slave.deaf = false;
            unit.slave.plug_in();
        }
        set_lines(true);
        setpoints_->set_estop(false);
        storms_ = lapses_ = meter_silent_ = false;
        house_ca_ = 0;
        modest_ = true;
        live(150s, true);
        for (const auto& unit : units_) {
            CAPTURE(unit.slave.id);
            CHECK(unit.slave.limit_ca == 600);
        }
        modest_ = false;
    }

    double energy_kwh() const {
        double sum = 0;
        for (const auto& [id, meter] : meters_) {
            sum += meter.totals().energy_kwh;
        }
        return sum;
    }
    std::uint64_t damaged() const { return damaged_; }

private:
    struct Unit {
        Slave slave;
        std::size_t bus = 0;
        Lines lines = every_line;
        scheduling::Duration unseen{0};  ///< What is left of the time the master has to notice the car.
    };
    struct Bus {
        bool up = false;
        FrameDecoder decoder{AcceptedLengths::listening};
        std::multimap<Instant, Bytes> arrivals;
        Instant wake{};
    };

    bool chance(double share) { return std::uniform_real_distribution(0.0, 1.0)(random_) < share; }
    int between(int low, int high) { return std::uniform_int_distribution(low, std::max(low, high))(random_); }

    void add_unit(UnitId id, std::size_t bus) {
        Unit unit{
            .slave = {.id = id, .protocol = between(1, 2), .answer_delay = std::chrono::milliseconds(between(20, 200))},
            .bus = bus};
        if (chance(0.5)) {
            unit.lines = {};
            unit.lines.at(static_cast<std::size_t>(between(0, 2))) = true;
            limits_.lines[id] = unit.lines;
        }
        if (chance(0.3)) {
            limits_.own_max_ca[id] = between(8, 20) * 100;
        }
        unit.slave.ends_at_zero = chance(0.5);
        if (chance(0.4)) {
            auto& treatment = care_.treatments[id];
            treatment.spike = {.on_raise = chance(0.5), .when_stuck = chance(0.5), .ca = std::nullopt};
            treatment.stop = std::array{StopMeans::limit, StopMeans::contactor, StopMeans::silence}.at(
                static_cast<std::size_t>(between(0, 2)));
            if (treatment.stop == StopMeans::contactor) {
                contactor_ids_.insert(id);
            }
        }
        units_.push_back(std::move(unit));
    }

    // A new process; after a crash it knows from its file who was there and what was granted.
    void start(bool again) {
        std::vector<FleetLine> known(lines_.size());
        for (std::size_t line = 0; again && line < lines_.size(); ++line) {
            for (const auto& [id, charger] : fleet_->line(line).chargers()) {
                known[line].known.push_back({.id = id,
                                             .protocol = charger.protocol,
                                             .granted_ca = charger.grant.ca,
                                             .silenced = charger.silenced});
            }
        }
        const bool estop = again && setpoints_->estop();
        fleet_.emplace(limits_, known, now_, care_);
        setpoints_.emplace(limits_, estop, now_);
        if (fuse_ca_) {
            fuse_.emplace(*fuse_ca_, now_);
        }
        heartbeat_due_since_.clear();
        for (auto& line : lines_) {
            line = Bus{};
        }
        set_lines(true);
    }

    void set_lines(bool up) {
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            set_line(line, up);
        }
    }

    void set_line(std::size_t line, bool up) {
        if (up == lines_[line].up) {
            return;
        }
        lines_[line] = Bus{.up = up, .wake = now_};
        fleet_->on_link(line, up, now_);
    }

    void choose_faults(bool sound) {
        byte_noise_ = sound ? 0 : std::array{0.0, 0.0, 0.001, 0.01, 0.05}.at(static_cast<std::size_t>(between(0, 4)));
        lost_ = sound ? 0 : 0.1 * between(0, 3) * between(0, 1);
        repeated_ = sound ? 0 : 0.2 * between(0, 1);
        late_ = sound ? 0 : 0.2 * between(0, 1);
        babble_ = sound ? 0 : 0.01 * between(0, 1);
    }

    void advance() {
        now_ += step;
        bool something = false;
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            auto& [up, decoder, arrivals, wake] = lines_[line];
            something = something || now_ >= wake;
            while (!arrivals.empty() && arrivals.begin()->first <= now_) {
                hear(line, arrivals.extract(arrivals.begin()).mapped());
                something = true;
            }
        }
        if (now_ - moved_at_ >= 100ms) {
            moved_at_ = now_;
            move();
            something = true;
        }
        if (something) {
            talk();
        }
        check();
    }

    void move() {
        for (auto& [slave, bus, lines, unseen] : units_) {
            unseen -= everyone_is_heard() ? 100ms : 0ms;
            slave.move(100ms);
            if (slave.contactor_open(now_)) {
                slave.trip();
            }
            if (!slave.knows_master(now_) && now_ - slave.announced >= 10s && !slave.mute && !slave.deaf) {
                slave.announced = now_;
                deliver(bus, slave.announcement(), now_ + 20ms);
            }
        }
        if (chance(babble_)) {
            Bytes babble;
            for (int i = between(1, 40); i > 0; --i) {
                babble.push_back(static_cast<std::uint8_t>(chance(0.2) ? 0xC0 : between(0, 255)));
            }
            lines_.back().arrivals.emplace(now_ + 10ms, std::move(babble));
        }
        if (now_ >= next_wish_) {
            next_wish_ = now_ + (storms_ ? 200ms : 5s);
            wish();
        }
        if (fuse_ && !meter_silent_ && now_ - metered_at_ >= 1s) {
            metered_at_ = now_;
            meter();
        }
    }

    // The others can follow only as long as they are told to; a unit that hears nobody stops by itself.
    bool everyone_is_heard() const {
        return std::ranges::all_of(units_, [&](const Unit& unit) {
            return unit.slave.contactor_open(now_) || (unit.slave.heard && now_ - *unit.slave.heard <= 2s);
        });
    }

    void wish() {
        if (lapses_ && !modest_) {
            return;
        }
        contract::LimitSet limits{.ttl_s = 20, .seq = ++seq_};
        for (const auto& unit : units_) {
            if (storms_ || chance(0.2)) {
                wishes_[unit.slave.id] = chance(0.3) ? 0 : between(5, 40);
            }
            limits.chargers[to_text(unit.slave.id)] = modest_ ? 6 : wishes_[unit.slave.id];
        }
        if (storms_ && !modest_ && chance(0.3)) {
            limits.max_a = between(0, 60);
        }
        setpoints_->accept(limits, now_);
    }

    std::array<int, 3> drawn_ca() const {
        std::array<int, 3> sums{};
        for (const auto& unit : units_) {
            for (std::size_t line = 0; line < sums.size(); ++line) {
                sums.at(line) += unit.lines.at(line) ? unit.slave.drawn_ca : 0;
            }
        }
        return sums;
    }

    void meter() {
        std::array<std::optional<int>, 3> grid_ca;
        const auto drawn = drawn_ca();
        for (std::size_t line = 0; line < grid_ca.size(); ++line) {
            grid_ca.at(line) = house_ca_ + drawn.at(line);
        }
        fuse_->on_sample(grid_ca, now_, now_);
    }

    void hear(std::size_t line, const Bytes& bytes) {
        if (!lines_[line].up) {
            return;
        }
        fleet_->on_activity(line, now_);
        for (const auto& body : lines_[line].decoder.feed(bytes)) {
            const auto answered = fleet_->on_body(line, body, now_);
            if (!answered) {
                continue;
            }
            const auto& charger = *fleet_->find(*answered);
            auto& meter = meters_[*answered];
            const double before_kwh = meter.totals().energy_kwh;
            meter.on_reading({.power_w = power_w(charger, Mains{}),
                              .plugged = charger.inquiry.plugged(),
                              .now = now_,
                              .wall_now = {}});
            REQUIRE(meter.totals().energy_kwh >= before_kwh);
        }
    }

    void talk() {
        std::map<UnitId, int> wishes;
        for (const auto* charger : fleet_->chargers()) {
            const bool lost = fuse_ && fuse_->is_lost(now_);
            if (charger->claim.heard() || charger->silenced) {
                wishes[charger->id] = setpoints_->wish_ca(charger->id, charger->grant.ca, lost, now_);
            }
        }
        auto passing = setpoints_->limits();
        if (fuse_) {
            // Three phases: of chargers nobody described, nothing counts.
            fuse_->on_drawn(drawn_by_line(fleet_->chargers(), limits_, Mains{.phases = 3}), now_);
            std::ranges::move(fuse_->limits(), std::back_inserter(passing));
        }
        fleet_->set_surroundings(std::move(passing), fuse_ && fuse_->is_blind(now_));
        fleet_->set_wishes(wishes);
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            auto next = fleet_->next(line, now_);
            while (next.body) {
                transmit(line, *next.body);
                next = fleet_->next(line, now_);
            }
            lines_[line].wake = std::min(next.wake, setpoints_->changes_at(now_));
        }
        fleet_->take_notices();
    }

    void transmit(std::size_t line, const Bytes& body) {
        REQUIRE_FALSE(refusal_to_send(body, {.limits = limits_, .contactor_commands = contactor_ids_}));
        if (body[0] == 0xFB && body[1] == 0xE0) {
            const auto id = static_cast<UnitId>(body[4] << 8 | body[5]);
            heartbeat_due_since_[id] = now_;
            const int told_ca = body[7] << 8 | body[8];
            REQUIRE(told_ca <= limits_.max_ca(id));
        }
        const double spoilt = 1 - std::pow(1 - byte_noise_, static_cast<double>(body.size() + 3));
        for (auto& unit : units_) {
            if (unit.bus != line || chance(lost_) || chance(spoilt)) {
                continue;
            }
            const auto reply = unit.slave.answer(body, now_);
            unit.slave.heartbeats.clear();
            if (!reply || chance(lost_)) {
                continue;
            }
            Instant at = now_ + unit.slave.answer_delay;
            if (chance(late_)) {
                at += std::chrono::milliseconds(between(200, 2000));
            }
            auto& last = last_arrival_[unit.slave.id];
            at = last = std::max(at, last);  // the line keeps the order
            deliver(line, *reply, at);
            if (chance(repeated_)) {
                deliver(line, *reply, at);
            }
        }
    }

    void deliver(std::size_t line, const Bytes& body, Instant at) {
        auto bytes = encode_frame(body);
        for (auto& byte : bytes) {
            if (byte_noise_ > 0 && chance(byte_noise_)) {
                byte = static_cast<std::uint8_t>(between(0, 255));
                ++damaged_;
            }
        }
        lines_[line].arrivals.emplace(at, std::move(bytes));
    }

    void check() {
        check_shared({.name = "wiring", .ca = limits_.wiring_ca, .line = {}, .members = {}});
        for (const auto& circuit : limits_.circuits) {
            check_shared(circuit);
        }
        check_heartbeats();
        check_fuse();
    }

    void check_heartbeats() {
        for (const auto* charger : fleet_->chargers()) {
            auto& due_since = heartbeat_due_since_[charger->id];
            if (!charger->linked || !lines_[*fleet_->line_of(charger->id)].up) {
                due_since.reset();
                continue;
            }
            due_since = due_since.value_or(now_);
            REQUIRE(now_ - *due_since <= 2s);
        }
    }

    void check_shared(const SharedLimit& limit) {
        std::array<int, 3> may_draw{};
        std::array<int, 3> allowed{};
        allowed.fill(limit.ca);
        for (const auto& unit : units_) {
            if (limit.members && !limit.members->contains(unit.slave.id)) {
                continue;
            }
            const bool just_came = unit.unseen > 0s && !limits_.reserve_for_idle;
            for (std::size_t line = 0; line < may_draw.size(); ++line) {
                if (unit.lines.at(line)) {
                    may_draw.at(line) += unit.slave.contactor_open(now_) ? 0 : unit.slave.may_draw_ca();
                    allowed.at(line) += just_came && unit.slave.protocol == 2 ? zero_echo_ca : 0;
                }
            }
        }
        for (std::size_t line = 0; line < may_draw.size(); ++line) {
            REQUIRE(may_draw.at(line) <= allowed.at(line));
        }
    }

    // Only where nothing keeps the master from hearing and being heard.
    void check_fuse() {
        const bool faultless =
            byte_noise_ == 0 && lost_ == 0 && late_ == 0 && repeated_ == 0 && babble_ == 0 &&
            std::ranges::all_of(lines_, &Bus::up) && !meter_silent_ &&
            std::ranges::none_of(units_, [](const Unit& unit) { return unit.slave.mute || unit.slave.deaf; });
        bool overloaded = false;
        for (const int drawn : drawn_ca()) {
            overloaded = overloaded || (fuse_ca_ && drawn + house_ca_ > *fuse_ca_ + meter_error_ca);
        }
        if (!overloaded || !faultless) {
            overloaded_since_.reset();
            return;
        }
        overloaded_since_ = overloaded_since_.value_or(now_);
        REQUIRE(now_ - *overloaded_since_ <= overload_ends_within);
    }

    std::mt19937 random_;
    Instant now_{Instant{} + 1h};
    Limits limits_;
    std::vector<Unit> units_;
    Care care_;
    std::set<UnitId> contactor_ids_;
    std::optional<int> fuse_ca_;
    std::optional<FuseGuard> fuse_;
    std::vector<Bus> lines_;
    std::optional<Fleet> fleet_;
    std::optional<Setpoints> setpoints_;
    std::map<UnitId, SessionMeter> meters_;
    std::map<UnitId, std::optional<Instant>> heartbeat_due_since_;
    std::map<UnitId, double> wishes_;
    std::map<UnitId, Instant> last_arrival_;
    Instant moved_at_{};
    Instant next_wish_{};
    Instant metered_at_{};
    bool storms_ = false;
    bool lapses_ = false;
    bool modest_ = false;
    bool meter_silent_ = false;
    int house_ca_ = 0;
    std::int64_t seq_ = 0;
    double byte_noise_ = 0;
    double lost_ = 0;
    double repeated_ = 0;
    double late_ = 0;
    double babble_ = 0;
    std::uint64_t damaged_ = 0;
    std::optional<Instant> overloaded_since_;
};

constexpr unsigned seeds_per_case = 16;
constexpr long all_seeds = 4L * seeds_per_case;

void live_through(unsigned seed, long seconds) {
    CAPTURE(seed);
    World world(seed);
    std::mt19937 random(seed);
    for (long lived = 0; lived < seconds;) {
        world.meddle();
        const long stretch = 1 + static_cast<long>(random() % (random() % 3 == 0 ? 60 : 6));
        world.live(std::chrono::seconds(stretch), random() % 3 == 0);
        lived += stretch;
    }
    world.settle();
    CHECK(world.energy_kwh() > 0);
    CHECK(world.damaged() > 0);
}

void run_seeds(unsigned first) {
    if (const char* chosen = std::getenv("TWC_BUS_SEED")) {          // NOLINT(concurrency-mt-unsafe)
        const auto seed = static_cast<unsigned>(std::atol(chosen));  // NOLINT(cert-err34-c)
        if (seed >= first && seed < first + seeds_per_case) {
            live_through(seed, seconds_of_all_seeds() / all_seeds);
        }
        return;
    }
    for (unsigned seed = first; seed < first + seeds_per_case; ++seed) {
        live_through(seed, seconds_of_all_seeds() / all_seeds);
    }
}

}  // namespace

TEST_CASE("bus: whatever happens, limits hold, heartbeats go on, energy is kept; seeds 0 to 15") { run_seeds(0); }
TEST_CASE("bus: whatever happens, limits hold, heartbeats go on, energy is kept; seeds 16 to 31") { run_seeds(16); }
TEST_CASE("bus: whatever happens, limits hold, heartbeats go on, energy is kept; seeds 32 to 47") { run_seeds(32); }
TEST_CASE("bus: whatever happens, limits hold, heartbeats go on, energy is kept; seeds 48 to 63") { run_seeds(48); }
