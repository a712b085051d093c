#include "ems-bridge/sunspec.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace ems_bridge::sunspec {

namespace {

constexpr std::array<std::uint16_t, 2> marker{0x5375, 0x6E53};  // "SunS"
constexpr std::array<int, 3> usual_bases{40000, 0, 50000};
constexpr int end_of_chain = 0xFFFF;
constexpr int header_length = 2;  // ID and L
constexpr int last_address = 65535;
constexpr std::size_t most_models = 64;

constexpr int no_scale = -1;

// Where a point stands in its model, counted from the ID register.
struct Layout {
    int first_model;
    int last_model;
    std::string_view name;
    int offset;
    RegisterType type;
    int scale_offset;
};

constexpr auto u16 = RegisterType::u16;
constexpr auto i16 = RegisterType::i16;
constexpr auto acc32 = RegisterType::acc32;
constexpr auto f32 = RegisterType::f32;

constexpr std::array layouts{
    Layout{101, 103, "A", 2, u16, 6},
    Layout{101, 103, "PhVphA", 10, u16, 13},
    Layout{101, 103, "PhVphB", 11, u16, 13},
    Layout{101, 103, "PhVphC", 12, u16, 13},
    Layout{101, 103, "W", 14, i16, 15},
    Layout{101, 103, "WH", 24, acc32, 26},
    Layout{101, 103, "DCW", 31, i16, 32},
    Layout{101, 103, "St", 38, u16, no_scale},
    Layout{111, 113, "PhVphA", 16, f32, no_scale},
    Layout{111, 113, "PhVphB", 18, f32, no_scale},
    Layout{111, 113, "PhVphC", 20, f32, no_scale},
    Layout{111, 113, "W", 22, f32, no_scale},
    Layout{111, 113, "WH", 32, f32, no_scale},
    Layout{111, 113, "DCW", 38, f32, no_scale},
    Layout{201, 204, "AphA", 3, i16, 6},
    Layout{201, 204, "AphB", 4, i16, 6},
    Layout{201, 204, "AphC", 5, i16, 6},
    Layout{201, 204, "PhVphA", 8, i16, 15},
    Layout{201, 204, "PhVphB", 9, i16, 15},
    Layout{201, 204, "PhVphC", 10, i16, 15},
    Layout{201, 204, "W", 18, i16, 22},
    Layout{201, 204, "WphA", 19, i16, 22},
    Layout{201, 204, "WphB", 20, i16, 22},
    Layout{201, 204, "WphC", 21, i16, 22},
    Layout{201, 204, "TotWhExp", 38, acc32, 54},
    Layout{201, 204, "TotWhImp", 46, acc32, 54},
    Layout{211, 214, "PhVphA", 12, f32, no_scale},
    Layout{211, 214, "PhVphB", 14, f32, no_scale},
    Layout{211, 214, "PhVphC", 16, f32, no_scale},
    Layout{211, 214, "W", 28, f32, no_scale},
    Layout{211, 214, "WphA", 30, f32, no_scale},
    Layout{211, 214, "WphB", 32, f32, no_scale},
    Layout{211, 214, "WphC", 34, f32, no_scale},
    Layout{211, 214, "TotWhExp", 60, f32, no_scale},
    Layout{211, 214, "TotWhImp", 68, f32, no_scale},
    Layout{124, 124, "ChaState", 8, u16, 22},
    Layout{124, 124, "ChaSt", 11, u16, no_scale},
    Layout{713, 713, "SoC", 4, u16, 8},
    Layout{802, 802, "SoC", 11, u16, 56},
    Layout{802, 802, "W", 47, i16, 63},
    Layout{701, 701, "W", 10, i16, 116},
};

constexpr int mppt_model = 160;
constexpr int mppt_count_offset = 8;
constexpr int mppt_first_module = 10;
constexpr int mppt_module_length = 20;
constexpr int mppt_power_offset = 11;
constexpr int mppt_power_scale = 4;

const Layout* find_layout(int model, std::string_view name) {
    const auto* const found = std::ranges::find_if(layouts, [&](const Layout& layout) {
        return model >= layout.first_model && model <= layout.last_model && layout.name == name;
    });
    return found == layouts.end() ? nullptr : found;
}

std::optional<int> parse_number(std::string_view text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<int> find_marker(const ReadRegisters& read, std::optional<int> base) {
    const std::vector<int> candidates =
        base ? std::vector{*base} : std::vector<int>(usual_bases.begin(), usual_bases.end());
    for (const int candidate : candidates) {
        try {
            const auto words = read(candidate, static_cast<int>(marker.size()));
            if (std::ranges::equal(words, marker)) {
                return candidate;
            }
        } catch (const ModbusException&) {
            continue;  // nothing there: the next place
        }
    }
    return std::nullopt;
}

std::optional<double> point_value(const Model& model, const RegisterImage& image, int offset, RegisterType type,
                                  int scale_offset) {
    const int end = header_length + model.length;
    if (offset + width_of(type) > end || scale_offset >= end) {
        return std::nullopt;
    }
    return scale_offset == no_scale ? image.value(model.address + offset, type)
                                    : image.value(model.address + offset, type, model.address + scale_offset);
}

std::optional<double> module_power(const Model& model, const RegisterImage& image, int module) {
    const auto count = image.value(model.address + mppt_count_offset, u16);
    if (!count || module > static_cast<int>(*count)) {
        return std::nullopt;
    }
    const int offset = mppt_first_module + mppt_module_length * (module - 1) + mppt_power_offset;
    return point_value(model, image, offset, u16, mppt_power_scale);
}

}  // namespace

std::vector<Model> walk(const ReadRegisters& read, std::optional<int> base) {
    const auto start = find_marker(read, base);
    if (!start) {
        throw SourceError(ErrorKind::malformed, base ? fmt::format("no SunSpec marker at {}", *base)
                                                     : "no SunSpec marker at 40000, 0 or 50000");
    }
    std::vector<Model> models;
    int address = *start + static_cast<int>(marker.size());
    while (models.size() < most_models && address + header_length <= last_address) {
        const auto header = read(address, header_length);
        if (header.size() < header_length || header[0] == end_of_chain) {
            return models;
        }
        models.push_back({.id = header[0], .address = address, .length = header[1]});
        address += header_length + header[1];
    }
    throw SourceError(ErrorKind::malformed, fmt::format("the SunSpec chain from {} has no end", *start));
}

std::optional<Point> parse_point(std::string_view text) {
    const auto first = text.find(':');
    if (first == std::string_view::npos) {
        return std::nullopt;
    }
    const auto last = text.rfind(':');
    const auto model = parse_number(text.substr(0, first));
    const auto module = last == first ? std::optional(0) : parse_number(text.substr(first + 1, last - first - 1));
    const std::string_view name = text.substr(last + 1);
    if (!model || !module) {
        return std::nullopt;
    }
    const bool is_module_point = *model == mppt_model && *module >= 1 && name == "DCW";
    const bool is_model_point = *module == 0 && find_layout(*model, name) != nullptr;
    if (!is_module_point && !is_model_point) {
        return std::nullopt;
    }
    return Point{.model = *model, .module = *module, .name = std::string(name)};
}

const Model* find(const std::vector<Model>& models, std::initializer_list<int> ids) {
    const auto found =
        std::ranges::find_if(models, [&](const Model& model) { return std::ranges::find(ids, model.id) != ids.end(); });
    return found == models.end() ? nullptr : &*found;
}

std::optional<double> value(const std::vector<Model>& models, const RegisterImage& image, const Point& point) {
    const Model* const model = find(models, {point.model});
    if (model == nullptr) {
        return std::nullopt;
    }
    if (point.module > 0) {
        return module_power(*model, image, point.module);
    }
    const Layout* const layout = find_layout(point.model, point.name);
    return layout == nullptr ? std::nullopt
                             : point_value(*model, image, layout->offset, layout->type, layout->scale_offset);
}

}  // namespace ems_bridge::sunspec
