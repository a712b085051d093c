#include "support/process.hpp"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "support/eventually.hpp"
#include "support/temporary_folder.hpp"

namespace support {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (auto& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

std::vector<std::string> merged(const Process::Environment& added) {
    std::vector<std::string> result;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text(*entry);
        if (!added.contains(text.substr(0, text.find('=')))) {
            result.push_back(text);
        }
    }
    for (const auto& [name, value] : added) {
        result.push_back(name + "=" + value);
    }
    return result;
}

}  // namespace

Process::Process(std::vector<std::string> command, std::filesystem::path output, const Environment& environment)
    : output_(std::move(output)) {
    std::error_code none_yet;
    const auto size = std::filesystem::file_size(output_, none_yet);
    output_begin_ = none_yet ? 0 : size;
    const std::string program = command.at(0);
    // setpriv becomes the program: it lets the kernel end it together with this test.
    command.insert(command.begin(), {"setpriv", "--pdeathsig", "KILL", "--"});
    auto variables = merged(environment);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    const int error =
        posix_spawnp(&pid_, "setpriv", &actions, nullptr, pointers(command).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw std::runtime_error("cannot start " + program);
    }
}

Process::~Process() {
    if (!exit_code_) {
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

bool Process::running() { return !wait_for_exit(std::chrono::milliseconds(0)); }

void Process::send_signal(int number) const {
    if (!exit_code_) {
        ::kill(pid_, number);
    }
}

void Process::kill() const { send_signal(SIGKILL); }
void Process::freeze() const { send_signal(SIGSTOP); }
void Process::thaw() const { send_signal(SIGCONT); }

std::optional<int> Process::wait_for_exit(std::chrono::milliseconds timeout) {
    eventually(
        [this] {
            int status = 0;
            if (!exit_code_ && waitpid(pid_, &status, WNOHANG) == pid_) {
                exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            return exit_code_.has_value();
        },
        timeout);
    return exit_code_;
}

std::string Process::output() const {
    std::ifstream stream(output_, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(output_begin_));
    return {std::istreambuf_iterator<char>(stream), {}};
}

bool Process::wait_for_output(std::string_view text, std::chrono::milliseconds timeout) const {
    return eventually([&] { return output().find(text) != std::string::npos; }, timeout);
}

std::string run_command(const std::vector<std::string>& command) {
    const TemporaryFolder folder;
    Process process(command, folder / "output");
    const auto code = process.wait_for_exit(std::chrono::seconds(30));
    if (code != 0) {
        throw std::runtime_error(command.at(0) + " failed:\n" + process.output());
    }
    return process.output();
}

}  // namespace support
