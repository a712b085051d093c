#include "paced_line.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <system_error>
#include <termios.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <asio/posix/stream_descriptor.hpp>
#include <spdlog/spdlog.h>

#include "scheduling/event_loop.hpp"
#include "support/eventually.hpp"

namespace bench {

namespace {

using namespace std::chrono_literals;

constexpr auto byte_time = std::chrono::microseconds(1042);  // ten bits at 9600 baud
constexpr auto unit_step = 100ms;
constexpr auto announcement_period = 10s;
constexpr auto link_ready_answer_delay = 200ms;
// The other side of a terminal reads as an error while nobody has it open.
constexpr auto look_again = 1ms;
constexpr std::uint8_t trailing_byte = 0xFC;

scheduling::Duration time_of(std::size_t bytes) { return byte_time * static_cast<int>(bytes); }

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::system_category(), what); }

struct Terminal {
    int descriptor = -1;
    std::string device;
};

// Raw, so that no byte is changed, echoed or held back until a newline.
Terminal open_terminal() {
    Terminal terminal;
    terminal.descriptor = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    std::array<char, 128> name{};
    termios settings{};
    if (terminal.descriptor < 0 || grantpt(terminal.descriptor) != 0 || unlockpt(terminal.descriptor) != 0 ||
        ptsname_r(terminal.descriptor, name.data(), name.size()) != 0 ||
        tcgetattr(terminal.descriptor, &settings) != 0) {
        fail("pseudo terminal");
    }
    cfmakeraw(&settings);
    if (tcsetattr(terminal.descriptor, TCSANOW, &settings) != 0) {
        fail("pseudo terminal");
    }
    terminal.device = name.data();
    return terminal;
}

// As twc-bus counts it.
bool is_valid(const Bytes& wire) {
    return twc_bus::FrameDecoder(twc_bus::AcceptedLengths::listening).feed(wire).size() == 1;
}

// What a unit says, byte by byte.
struct Emission {
    Instant begins;
    Bytes wire;
    std::size_t left = 0;  ///< So many bytes have left.
    UnitFrame frame;
};

}  // namespace

// The line itself. Everything but `run` happens on the loop's thread.
class PacedLine::OnLoop {
public:
    explicit OnLoop(std::filesystem::path device)
        : device_(std::move(device)), scope_(loop_), terminal_(loop_.io()), thread_([this] { loop_.run(); }) {
        scope_.post([this] { scope_.call_every(unit_step, [this] { move_units(); }); });
    }
    OnLoop(const OnLoop&) = delete;
    OnLoop& operator=(const OnLoop&) = delete;
    ~OnLoop() {
        loop_.stop();
        thread_.join();
        std::error_code ignored;
        std::filesystem::remove(device_, ignored);
    }

    /// From the other thread: `task` on the loop's, and its result.
    template <class Task>
    auto run(Task task) {
        std::packaged_task<decltype(task())()> packaged(std::move(task));
        auto result = packaged.get_future();
        loop_.post([&packaged] { packaged(); });
        return result.get();
    }

    const std::filesystem::path& device() const { return device_; }

    Instant plug() {
        const Terminal terminal = open_terminal();
        terminal_.assign(terminal.descriptor);
        decoder_.reset();
        read();
        const std::filesystem::path fresh = device_.string() + ".new";
        std::filesystem::create_symlink(terminal.device, fresh);
        std::filesystem::rename(fresh, device_);
        return loop_.now();
    }

    void unplug() {
        std::filesystem::remove(device_);
        ++generation_;
        asio::error_code ignored;
        terminal_.close(ignored);
    }

    bool is_quiet() const { return emissions_.empty(); }
    void forget() {
        const auto levels = std::exchange(record_, {}).levels;
        if (!levels.empty()) {
            record_.levels.push_back(levels.back());
        }
    }

    std::vector<Unit> units;
    AnswerDelay delay;
    double noise_per_byte = 0;
    bool silent = false;

    const LineRecord& record() const { return record_; }

private:
    void read() {
        terminal_.async_read_some(asio::buffer(input_),
                                  [this, generation = generation_](const asio::error_code& error, std::size_t size) {
                                      if (generation != generation_) {
                                          return;
                                      }
                                      if (!error) {
                                          hear(std::span(input_).first(size), loop_.now());
                                          read();
                                          return;
                                      }
                                      scope_.call_after(look_again, [this, generation] {
                                          if (generation == generation_) {
                                              read();
                                          }
                                      });
                                  });
    }

    void hear(std::span<const std::uint8_t> bytes, Instant now) {
        const Instant begins = std::max(now, master_until_);
        const bool unit_talks = !emissions_.empty() && emissions_.front().begins <= begins;
        record_.overlaps += unit_talks ? 1 : 0;
        master_until_ = begins + time_of(bytes.size());
        for (auto& body : decoder_.feed(bytes)) {
            record_.from_master.push_back({.at = now, .body = body});
            scope_.call_at(master_until_,
                           [this, body = std::move(body), heard = master_until_] { let_units_hear(body, heard); });
        }
    }

    void let_units_hear(const Bytes& body, Instant now) {
        const bool is_link_ready = body[0] == 0xFB && body[1] == 0xE2;
        for (auto& unit : units) {
            if (const auto reply = unit.slave.answer(body, now)) {
                say(*reply, now + answer_delay());
            } else if (is_link_ready && unit.answers_link_ready && !unit.slave.knows_master(now) &&
                       now - unit.slave.announced > 1s) {
                unit.slave.announced = now;
                say(unit.slave.announcement(), now + link_ready_answer_delay);
            }
        }
        note_level(now);
    }

    scheduling::Duration answer_delay() {
        using Microseconds = std::chrono::microseconds;
        return Microseconds(std::uniform_int_distribution(Microseconds(delay.shortest).count(),
                                                          Microseconds(delay.longest).count())(random_));
    }

    void say(const Bytes& body, Instant at) {
        if (silent) {
            return;
        }
        Emission emission{.begins = at, .wire = twc_bus::encode_frame(body), .frame = {.ended = {}, .body = body}};
        const Bytes meant = emission.wire;
        for (auto& byte : emission.wire) {
            const bool flipped = std::bernoulli_distribution(noise_per_byte)(random_);
            byte =
                static_cast<std::uint8_t>(flipped ? byte ^ 1U << std::uniform_int_distribution(0U, 7U)(random_) : byte);
        }
        emission.frame.clean = emission.wire == meant;
        emission.frame.still_valid = is_valid(emission.wire);
        emission.wire.push_back(trailing_byte);
        emissions_.push_back(std::move(emission));
        if (emissions_.size() == 1) {
            begin_emission();
        }
    }

    void begin_emission() {
        auto& emission = emissions_.front();
        emission.begins = std::max({emission.begins, loop_.now(), master_until_});
        schedule_next_byte();
    }

    void schedule_next_byte() {
        const auto& emission = emissions_.front();
        scope_.call_at(emission.begins + time_of(emission.left + 1), [this] { send_next_byte(); });
    }

    void send_next_byte() {
        auto& emission = emissions_.front();
        if (emission.left == 0 && loop_.now() < master_until_) {
            begin_emission();  // the master was first
            return;
        }
        put(emission.wire[emission.left]);
        ++emission.left;
        record_.latest = std::max(record_.latest, loop_.now() - emission.begins - time_of(emission.left));
        if (emission.left + 1 == emission.wire.size()) {
            emission.frame.ended = loop_.now();
            record_.from_units.push_back(emission.frame);
        }
        if (emission.left < emission.wire.size()) {
            schedule_next_byte();
            return;
        }
        emissions_.pop_front();
        if (!emissions_.empty()) {
            begin_emission();
        }
    }

    // Nobody there: lost, as on a wire.
    void put(std::uint8_t byte) {
        if (!terminal_.is_open()) {
            return;
        }
        pollfd state{.fd = terminal_.native_handle(), .events = POLLOUT, .revents = 0};
        const bool someone_listens = poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) == 0;
        if (someone_listens && ::write(terminal_.native_handle(), &byte, 1) != 1) {
            spdlog::debug("line: the reader does not keep up");
        }
    }

    void move_units() {
        const Instant now = loop_.now();
        for (auto& [slave, answers_link_ready] : units) {
            slave.move(unit_step);
            if (slave.contactor_open(now)) {
                slave.trip();
            }
            if (!slave.knows_master(now) && now - slave.announced >= announcement_period && !silent) {
                slave.announced = now;
                say(slave.announcement(), now);
            }
        }
        note_level(now);
    }

    void note_level(Instant now) {
        Level level{.at = now};
        for (const auto& [slave, answers_link_ready] : units) {
            level.told_ca += slave.plugged ? slave.limit_ca : 0;
            level.drawn_ca += slave.drawn_ca;
        }
        const bool same = !record_.levels.empty() && record_.levels.back().told_ca == level.told_ca &&
                          record_.levels.back().drawn_ca == level.drawn_ca;
        if (!same) {
            record_.levels.push_back(level);
        }
    }

    std::filesystem::path device_;
    scheduling::EventLoop loop_;
    scheduling::TaskScope scope_;
    asio::posix::stream_descriptor terminal_;
    int generation_ = 0;
    std::array<std::uint8_t, 512> input_{};
    twc_bus::FrameDecoder decoder_{twc_bus::AcceptedLengths::listening};
    Instant master_until_{};
    std::deque<Emission> emissions_;
    std::mt19937 random_{1};
    LineRecord record_;
    std::thread thread_;
};

PacedLine::PacedLine(std::filesystem::path device) : impl_(std::make_unique<OnLoop>(std::move(device))) {}
PacedLine::~PacedLine() = default;

const std::filesystem::path& PacedLine::device() const { return impl_->device(); }

Instant PacedLine::plug_adapter() {
    return impl_->run([this] { return impl_->plug(); });
}

void PacedLine::unplug_adapter() {
    impl_->run([this] { impl_->unplug(); });
}

void PacedLine::set_units(std::vector<Unit> units) {
    impl_->run([this, &units] { impl_->units = std::move(units); });
}

void PacedLine::for_each_unit(const Change& change) {
    impl_->run([this, &change] {
        for (auto& unit : impl_->units) {
            change(unit, std::chrono::steady_clock::now());
        }
    });
}

void PacedLine::set_answer_delay(AnswerDelay delay) {
    impl_->run([this, delay] { impl_->delay = delay; });
}

void PacedLine::set_noise(double per_byte) {
    impl_->run([this, per_byte] { impl_->noise_per_byte = per_byte; });
}

void PacedLine::set_silence(bool silent) {
    impl_->run([this, silent] { impl_->silent = silent; });
    support::eventually([this] { return impl_->run([this] { return impl_->is_quiet(); }); }, 5s);
}

LineRecord PacedLine::record() const {
    return impl_->run([this] { return impl_->record(); });
}

void PacedLine::forget() {
    impl_->run([this] { impl_->forget(); });
}

bool PacedLine::wait_for(const std::function<bool(const LineRecord&)>& predicate,
                         std::chrono::milliseconds timeout) const {
    return support::eventually([&] { return impl_->run([&] { return predicate(impl_->record()); }); }, timeout);
}

}  // namespace bench
