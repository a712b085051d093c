#include "storage/atomic_file.hpp"

#include <csignal>
#include <functional>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"

using namespace storage;

namespace {

// Files of this process may not grow beyond this many bytes: what a full disk looks like to a writer.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);  // then write() fails instead
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

std::string failure_of(const std::function<void()>& action) {
    try {
        action();
        return "none";
    } catch (const StorageError& error) {
        return error.what();
    }
}

std::size_t files_in(const support::TemporaryFolder& folder) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()));
}

unsigned mode_of(const std::filesystem::path& file) {
    struct stat status {};
    stat(file.c_str(), &status);
    return status.st_mode & 07777U;
}

}  // namespace

TEST_CASE("atomic file: what was written is read again, byte for byte") {
    const support::TemporaryFolder folder;
    const std::string text("{\"a\":1}\n\0\xff", 10);

    write_atomically(folder / "new/deep/state.json", text);
    CHECK(read_if_present(folder / "new/deep/state.json") == text);
    write_atomically(folder / "new/deep/state.json", "");
    CHECK(read_if_present(folder / "new/deep/state.json") == "");
    CHECK_FALSE(read_if_present(folder / "other").has_value());
}

TEST_CASE("atomic file: a secret is for its owner only, whatever was there before") {
    const support::TemporaryFolder folder;
    const auto file = folder / "token";
    folder.write("token", "old");
    folder.write("token.new", "left over by a crash");

    write_atomically(file, "secret", 0600);

    CHECK(mode_of(file) == 0600);
    CHECK(read_if_present(file) == "secret");
    CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: a full disk leaves the old text and no debris, and says what happened") {
    const support::TemporaryFolder folder;
    const auto file = folder / "state.json";
    write_atomically(file, "old");
    std::string words;
    {
        const FullDisk disk(4096);
        words = failure_of([&] { write_atomically(file, std::string(100'000, 'x')); });
    }

    CHECK(words == file.string() + ".new: cannot write: File too large");
    CHECK(read_if_present(file) == "old");
    CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: refusals name the file and the cause") {
    const support::TemporaryFolder folder;
    folder.write("file", "text");
    std::filesystem::create_directory(folder / "folder");

    CHECK(failure_of([&] { write_atomically(folder / "file/x", "y"); }) ==
          (folder / "file").string() + ": cannot make the folder: Not a directory");
    CHECK(failure_of([&] { write_atomically(folder / "folder", "y"); }) ==
          (folder / "folder").string() + ": cannot replace: Is a directory");
    CHECK(failure_of([&] { read_if_present(folder / "folder"); }) ==
          (folder / "folder").string() + ": cannot read: Is a directory");
    CHECK(failure_of([&] { read_if_present(folder / "file/x"); }) ==
          (folder / "file/x").string() + ": cannot read: Not a directory");
    CHECK(failure_of([&] { read_if_present("/dev/zero", 100'000); }) == "/dev/zero: larger than 100000 bytes");
}

TEST_CASE("atomic file: a kill at any moment leaves the old or the new text, whole") {
    const support::TemporaryFolder folder;
    const auto file = folder / "state";
    const std::string a(20'000, 'a');
    const std::string b(30'000, 'b');
    write_atomically(file, a);
    for (int round = 0; round < 10; ++round) {
        const pid_t child = fork();
        if (child == 0) {
            for (int i = 0;; ++i) {
                write_atomically(file, i % 2 == 0 ? b : a);
            }
        }
        usleep(static_cast<useconds_t>(3000 + 700 * round));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        const auto text = read_if_present(file);
        REQUIRE((text == a || text == b));
    }
}
