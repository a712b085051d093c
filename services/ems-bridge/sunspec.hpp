#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ems-bridge/registers.hpp"

/// The SunSpec information model: a chain of numbered blocks behind the marker "SunS". Offsets and model numbers
/// are those of the public SunSpec model definitions.
namespace ems_bridge::sunspec {

/// One block of the chain.
struct Model {
    int id = 0;
    int address = 0;  ///< Of the ID register.
    int length = 0;   ///< Registers after ID and L.
    bool operator==(const Model&) const = default;
};

/// Reads `count` registers from `address`.
using ReadRegisters = std::function<std::vector<std::uint16_t>(int address, int count)>;

/// Looks for the marker at `base`, or at 40000, 0 and 50000 when it is not given, and follows the chain.
/// Throws SourceError when there is no marker or the chain does not end.
std::vector<Model> walk(const ReadRegisters& read, std::optional<int> base);

/// A point such as "203:W", or "160:2:DCW" for the second module of model 160.
struct Point {
    int model = 0;
    int module = 0;  ///< From 1; 0: a point of the model itself.
    std::string name;
};

/// None when the text is not `model:point` or `model:module:point` with a model and a point known here.
std::optional<Point> parse_point(std::string_view text);

/// The point's value in SI units (W, V, A, Wh, %), scaled. None when the device has no such model, the model is too
/// short, or the device marks the value as not available.
std::optional<double> value(const std::vector<Model>& models, const RegisterImage& image, const Point& point);

/// The first model of one of these numbers; none: nullptr.
const Model* find(const std::vector<Model>& models, std::initializer_list<int> ids);

}  // namespace ems_bridge::sunspec
