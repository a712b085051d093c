#pragma once

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "twc-bus/frame.hpp"

/// Reads fixtures/vectors.txt.
namespace vectors {

struct Row {
    std::string id;
    std::vector<std::string> cells;
};

inline twc_bus::Bytes bytes(const std::string& text) {
    std::istringstream in(text);
    twc_bus::Bytes result;
    unsigned value = 0;
    while (in >> std::hex >> value) {
        result.push_back(static_cast<std::uint8_t>(value));
    }
    return result;
}

inline std::vector<std::string> split(const std::string& line, const std::string& separator) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    for (auto at = line.find(separator); at != std::string::npos; at = line.find(separator, begin)) {
        parts.push_back(line.substr(begin, at - begin));
        begin = at + separator.size();
    }
    parts.push_back(line.substr(begin));
    return parts;
}

/// Rows of the tables named, such as "ABD".
inline std::vector<Row> rows(const std::string& tables) {
    std::ifstream file(std::string(FIXTURE_DIR) + "/vectors.txt");
    std::vector<Row> result;
    std::string line;
    while (std::getline(file, line)) {
        if (line.empty() || line[0] == '#' || tables.find(line[0]) == std::string::npos) {
            continue;
        }
        auto cells = split(line, " | ");
        const std::string id = cells.front();
        cells.erase(cells.begin());
        result.push_back({id, std::move(cells)});
    }
    return result;
}

/// Body of an A, B or D row: without its checksum.
inline twc_bus::Bytes body(const std::string& id) {
    for (const auto& row : rows(id.substr(0, 1))) {
        if (row.id == id) {
            auto found = bytes(row.cells[0]);
            found.pop_back();
            return found;
        }
    }
    return {};
}

}  // namespace vectors
