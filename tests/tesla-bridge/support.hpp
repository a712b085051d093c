#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "http/http_client.hpp"
#include "tesla-bridge/vehicle_link.hpp"

namespace tesla_bridge_test {

inline constexpr const char* vin = "LRW3E7EK0NC000777";

inline scheduling::Instant at(double seconds) {
    return scheduling::Instant(
        std::chrono::duration_cast<scheduling::Duration>(std::chrono::duration<double>(seconds)));
}

/// 2026-09-07, a second after the time stamps of the fixtures.
inline scheduling::WallTime fixture_wall() {
    return scheduling::WallTime(std::chrono::milliseconds(1'788'800'001'123));
}

inline std::string fixture(const std::string& name) {
    std::ifstream stream(std::string(FIXTURE_DIR) + "/" + name, std::ios::binary);
    REQUIRE_MESSAGE(stream.good(), name);
    return {std::istreambuf_iterator<char>(stream), {}};
}

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "tesla-bridge-test-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
        const auto file = path_ / name;
        std::ofstream(file) << text;
        std::filesystem::permissions(file, static_cast<std::filesystem::perms>(mode));
        return file;
    }
    std::string read(const std::string& name) const {
        std::ifstream stream(path_ / name);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

private:
    std::filesystem::path path_;
};

}  // namespace tesla_bridge_test
