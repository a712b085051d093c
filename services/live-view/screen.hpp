#pragma once

#include <string>

#include "live-view/canvas.hpp"
#include "live-view/model.hpp"

namespace live_view {

/// The whole screen: title, power flow, one block a charger, state of the system. Exactly `look.height` lines of at
/// most `look.width` columns. Made for 80×24 and more; below 40×12 it says so instead.
std::string render(const Model& model, const Look& look);

/// The essence in one line, for logs and pipes.
std::string render_line(const Model& model);

}  // namespace live_view
