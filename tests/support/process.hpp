#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace support {

/// A child process whose output goes to a file. It never outlives its test: killed by the destructor, and by the kernel
/// should the test itself be killed.
class Process {
public:
    using Environment = std::map<std::string, std::string>;

    /// `command`: program and arguments; `output`: gets standard output and error, is created or appended to;
    /// `environment`: added to ours. Throws std::runtime_error when the program cannot be started.
    Process(std::vector<std::string> command, std::filesystem::path output, const Environment& environment = {});
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    pid_t pid() const { return pid_; }
    bool running();
    void send_signal(int number) const;
    void kill() const;
    /// SIGSTOP: alive, but answers nobody.
    void freeze() const;
    void thaw() const;

    /// The exit code, 128 + number when a signal ended it; none when it still runs after `timeout`.
    std::optional<int> wait_for_exit(std::chrono::milliseconds timeout = std::chrono::seconds(10));

    /// All it has written so far.
    std::string output() const;
    bool wait_for_output(std::string_view text, std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

private:
    std::filesystem::path output_;
    std::uintmax_t output_begin_ = 0;
    pid_t pid_ = -1;
    std::optional<int> exit_code_;
};

/// Runs a command to its end. Throws std::runtime_error with its output when it does not succeed.
std::string run_command(const std::vector<std::string>& command);

}  // namespace support
