#pragma once

#include <chrono>
#include <iosfwd>
#include <span>
#include <string>

#include "twc-bus/frame.hpp"

/// `twc-bus monitor`: looks at a line, or at a recording of one, and never sends.
namespace twc_bus {

/// Bytes of a line in, one line of text a frame out.
///
/// A recording is text: one line for what was read at once, `<seconds since the start> <hex bytes>`, and lines that
/// begin with # between them. So it can be read, cut and annotated by hand.
class Monitor {
public:
    /// `recording`: gets what is heard as well, if not null.
    explicit Monitor(std::ostream& out, std::ostream* recording = nullptr);

    void hear(double seconds, std::span<const std::uint8_t> bytes);
    /// How much was heard, and what of it no frame could be made of.
    void print_summary() const;

private:
    void report_damage(double seconds);

    std::ostream& out_;
    std::ostream* recording_;
    FrameDecoder decoder_{AcceptedLengths::listening};
    FrameCounters reported_;
    std::uint64_t unknown_ = 0;
};

/// Plays a recording. Throws std::runtime_error naming the line that is none.
void replay(std::istream& recording, const std::string& name, Monitor& monitor);

/// The command: arguments after the word monitor. Returns the exit code: 0, 1 for a line or file that cannot be read,
/// 2 for wrong arguments.
int run_monitor(int argc, const char* const* argv);

}  // namespace twc_bus
