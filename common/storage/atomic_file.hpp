#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace storage {

/// Names the file and the cause (disk full, permission).
class StorageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Replaces the file so that after a crash or power cut it holds either the old or the new text, whole. Missing
/// folders are made. `mode`: permission bits of the new file, 0600 for secrets. Throws StorageError; the old file
/// then still stands and nothing else is left behind. One writer a file: the new text waits in `<file>.new`.
void write_atomically(const std::filesystem::path& file, std::string_view text, unsigned mode = 0644);

/// None when there is no such file; throws StorageError when it is there but cannot be read or is larger than
/// `max_bytes`.
std::optional<std::string> read_if_present(const std::filesystem::path& file,
                                           std::size_t max_bytes = 16UL * 1024 * 1024);

}  // namespace storage
