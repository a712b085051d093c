#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "line_record.hpp"
#include "twc-bus/slave_model.hpp"

namespace bench {

/// How long a unit thinks before it answers: drawn anew for each answer, evenly between the two.
struct AnswerDelay {
    std::chrono::milliseconds shortest{12};
    std::chrono::milliseconds longest{12};
};

/// A Wall Connector, and what only the line must know of it.
struct Unit {
    slave_model::Slave slave;
    /// Announces itself when a master says that it is there (FB E2), and not only every ten seconds. Units differ.
    bool answers_link_ready = false;
};

/// An RS-485 line behind a pseudo-terminal, with units on it, in real time: they hear a frame when it would have ended
/// at 9600 baud, answer after their delay, and each of their bytes comes when a wire would have carried it. Units wait
/// for each other; the master is not hindered from talking into an answer, which is counted. Lives on a thread of its
/// own. All functions may be called from one other thread.
class PacedLine {
public:
    /// The adapter appears as symlink `device` once it is plugged in.
    explicit PacedLine(std::filesystem::path device);
    PacedLine(const PacedLine&) = delete;
    PacedLine& operator=(const PacedLine&) = delete;
    ~PacedLine();

    const std::filesystem::path& device() const;

    /// A new pseudo-terminal; returns when the symlink led to it.
    Instant plug_adapter();
    /// Whoever has it open is told that it is gone. Units live on.
    void unplug_adapter();

    void set_units(std::vector<Unit> units);
    using Change = std::function<void(Unit& unit, Instant now)>;
    void for_each_unit(const Change& change);

    void set_answer_delay(AnswerDelay delay);
    /// For each byte from a unit: how likely it is that one of its bits is flipped.
    void set_noise(double per_byte);
    /// No unit says anything, all of them hear. Returns when the last byte has left.
    void set_silence(bool silent);

    /// Since the start, or since `forget`.
    LineRecord record() const;
    /// The level that still holds stays.
    void forget();

    /// Asks again and again until the record satisfies it; false: not within `timeout`.
    bool wait_for(const std::function<bool(const LineRecord&)>& predicate, std::chrono::milliseconds timeout) const;

private:
    class OnLoop;
    std::unique_ptr<OnLoop> impl_;
};

}  // namespace bench
