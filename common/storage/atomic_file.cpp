#include "storage/atomic_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
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

// Removes the half-written file unless it took the place of the old one: on a full disk every byte counts.
class Temporary {
public:
    explicit Temporary(std::filesystem::path path) : path_(std::move(path)) {}
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary() {
        if (!renamed_) {
            unlink(path_.c_str());
        }
    }
    const std::filesystem::path& path() const { return path_; }
    void rename_to(const std::filesystem::path& file) {
        if (rename(path_.c_str(), file.c_str()) != 0) {
            fail(file, "replace", errno);
        }
        renamed_ = true;
    }

private:
    std::filesystem::path path_;
    bool renamed_ = false;
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
    if (error) {
        fail(folder, "make the folder", error.value());
    }
    unlink((file.string() + ".new").c_str());  // a left-over of a crash may have other permissions
    Temporary temporary(file.string() + ".new");
    {
        const Descriptor descriptor(open(temporary.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (descriptor.get() < 0) {
            fail(temporary.path(), "create", errno);
        }
        write_all(descriptor.get(), text, temporary.path());
        if (fchmod(descriptor.get(), mode) != 0 || fsync(descriptor.get()) != 0) {
            fail(temporary.path(), "flush", errno);
        }
    }
    temporary.rename_to(file);
    const Descriptor folder_descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder_descriptor.get() >= 0) {
        fsync(folder_descriptor.get());
    }
}

std::optional<std::string> read_if_present(const std::filesystem::path& file, std::size_t max_bytes) {
    const Descriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (descriptor.get() < 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        fail(file, "read", errno);
    }
    std::string text;
    std::array<char, 16384> block{};
    while (true) {
        const ssize_t count = read(descriptor.get(), block.data(), block.size());
        if (count == 0) {
            return text;
        }
        if (count < 0 && errno != EINTR) {
            fail(file, "read", errno);
        }
        text.append(block.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
        if (text.size() > max_bytes) {
            throw StorageError(fmt::format("{}: larger than {} bytes", file.string(), max_bytes));
        }
    }
}

}  // namespace storage
