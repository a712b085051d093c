#include "storage/atomic_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace storage {

namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* what, int error) {
    throw StorageError(
        fmt::format("{}: cannot {}: {}", file.string(), what, std::strerror(error)));  // NOLINT(concurrency-mt-unsafe)
}

// Closes on every path; a failed close after fsync loses nothing.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    int get() const { return fd_; }

private:
    int fd_;
};

void write_all(int fd, std::string_view text, const std::filesystem::path& file) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            fail(file, "write", errno);
        }
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

}  // namespace

void write_atomically(const std::filesystem::path& file, std::string_view text, unsigned mode) {
    const auto folder = file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    auto temporary = file;
    temporary += ".new";
    unlink(temporary.c_str());  // a left-over may have other permissions
    {
        const Descriptor descriptor(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (descriptor.get() < 0) {
            fail(temporary, "create", errno);
        }
        write_all(descriptor.get(), text, temporary);
        if (fchmod(descriptor.get(), mode) != 0 || fsync(descriptor.get()) != 0) {
            fail(temporary, "flush", errno);
        }
    }
    if (rename(temporary.c_str(), file.c_str()) != 0) {
        fail(file, "replace", errno);
    }
    const Descriptor folder_descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder_descriptor.get() >= 0) {
        fsync(folder_descriptor.get());
    }
}

std::optional<std::string> read_if_present(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error) && !error) {
        return std::nullopt;
    }
    std::ifstream stream(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.good() && !stream.eof()) {
        throw StorageError(fmt::format("{}: cannot be read", file.string()));
    }
    return text;
}

}  // namespace storage
