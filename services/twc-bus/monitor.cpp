#include "twc-bus/monitor.hpp"

#include <csignal>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>

#include <asio/signal_set.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scheduling/event_loop.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/describe.hpp"

namespace twc_bus {

namespace {

constexpr const char* usage = R"(usage: twc-bus monitor PORT [--record FILE]
       twc-bus monitor --replay FILE

Prints every frame on the line, decoded. Never sends. PORT is a serial device, tcp://host:port or rfc2217://host:port;
a twc-bus that uses the device has to be stopped first. --record keeps what is heard, as text; --replay decodes such a
file.
)";

struct Options {
    std::string port;
    std::string record;
    std::string replay;
};

std::optional<Options> parse(int argc, const char* const* argv) {
    Options options;
    for (int i = 0; i < argc; ++i) {
        const std::string word = argv[i];
        if ((word == "--record" || word == "--replay") && i + 1 < argc) {
            (word == "--record" ? options.record : options.replay) = argv[++i];
        } else if (!word.starts_with("--") && options.port.empty()) {
            options.port = word;
        } else {
            return std::nullopt;
        }
    }
    const bool one_source = options.port.empty() != options.replay.empty();
    return one_source && (options.replay.empty() || options.record.empty()) ? std::optional(options) : std::nullopt;
}

Bytes bytes_of(const std::string& text) {
    std::istringstream words(text);
    Bytes bytes;
    for (std::string word; words >> word;) {
        std::size_t used = 0;
        const unsigned long value = std::stoul(word, &used, 16);
        if (used != word.size() || value > 0xFF) {
            throw std::invalid_argument(word);
        }
        bytes.push_back(static_cast<std::uint8_t>(value));
    }
    return bytes;
}

int replay_file(const std::string& name) {
    std::ifstream file(name);
    if (!file) {
        std::cerr << "twc-bus monitor: cannot read " << name << '\n';
        return 1;
    }
    Monitor monitor(std::cout);
    try {
        replay(file, name, monitor);
    } catch (const std::runtime_error& error) {
        std::cerr << "twc-bus monitor: " << error.what() << '\n';
        return 1;
    }
    monitor.print_summary();
    return 0;
}

int watch_line(const Options& options) {
    std::ofstream recording;
    if (!options.record.empty()) {
        recording.open(options.record);
        if (!recording) {
            std::cerr << "twc-bus monitor: cannot write " << options.record << '\n';
            return 1;
        }
        recording << "# twc-bus monitor " << options.port << '\n';
    }
    scheduling::EventLoop loop;
    asio::signal_set signals(loop.io(), SIGINT, SIGTERM);
    signals.async_wait([&](const std::error_code& error, int) {
        if (!error) {
            loop.stop();
        }
    });
    Monitor monitor(std::cout, options.record.empty() ? nullptr : &recording);
    const auto link = make_link(options.port, loop);
    const auto started = loop.now();
    link->open({.bytes =
                    [&](std::span<const std::uint8_t> bytes) {
                        monitor.hear(std::chrono::duration<double>(loop.now() - started).count(), bytes);
                    },
                .up = [&] { std::cerr << "listening on " << options.port << '\n'; },
                .down = [](const std::string& why) { std::cerr << why << '\n'; }});
    loop.run();
    link->close();
    monitor.print_summary();
    return 0;
}

}  // namespace

Monitor::Monitor(std::ostream& out, std::ostream* recording) : out_(out), recording_(recording) {}

void Monitor::hear(double seconds, std::span<const std::uint8_t> bytes) {
    if (recording_ != nullptr) {
        *recording_ << fmt::format("{:.3f} {:02x}\n", seconds, fmt::join(bytes, " ")) << std::flush;
    }
    for (const auto& body : decoder_.feed(bytes)) {
        const auto message = decode_message(body);
        unknown_ += message ? 0U : 1U;
        out_ << fmt::format("{:10.3f}  {}\n", seconds,
                            message ? describe(*message) : fmt::format("unknown: {:02x}", fmt::join(body, " ")));
    }
    report_damage(seconds);
    out_ << std::flush;
}

void Monitor::report_damage(double seconds) {
    const auto& now = decoder_.counters();
    const auto say = [&](std::uint64_t count, std::uint64_t before, const char* what) {
        if (count > before) {
            out_ << fmt::format("{:10.3f}  damaged: {}\n", seconds, what);
        }
    };
    say(now.bad_checksums, reported_.bad_checksums, "the checksum is wrong");
    say(now.bad_lengths, reported_.bad_lengths, "no frame has this length");
    say(now.bad_escapes, reported_.bad_escapes, "a byte is escaped wrongly");
    reported_ = now;
}

void Monitor::print_summary() const {
    const auto& counters = decoder_.counters();
    out_ << fmt::format(
        "{} frames, {} of them unknown; {} wrong checksums, {} wrong lengths, {} wrong escapes, {} "
        "fragments\n",
        counters.frames, unknown_, counters.bad_checksums, counters.bad_lengths, counters.bad_escapes,
        counters.short_segments);
}

void replay(std::istream& recording, const std::string& name, Monitor& monitor) {
    int number = 0;
    for (std::string line; std::getline(recording, line);) {
        ++number;
        if (line.empty() || line.front() == '#') {
            continue;
        }
        try {
            std::size_t used = 0;
            const double seconds = std::stod(line, &used);
            monitor.hear(seconds, bytes_of(line.substr(used)));
        } catch (const std::logic_error&) {  // of std::stod, std::stoul and bytes_of
            throw std::runtime_error(
                fmt::format("{}:{}: got \"{}\", expected seconds and bytes in hexadecimal", name, number, line));
        }
    }
}

int run_monitor(int argc, const char* const* argv) {
    const auto options = parse(argc, argv);
    if (!options) {
        std::cerr << usage;
        return 2;
    }
    return options->replay.empty() ? watch_line(*options) : replay_file(options->replay);
}

}  // namespace twc_bus
