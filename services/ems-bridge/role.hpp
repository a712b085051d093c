#pragma once

#include <optional>
#include <set>
#include <string_view>

namespace ems_bridge {

/// What a source counts for in the picture of the site.
enum class Role { grid, pv, battery, house };
using Roles = std::set<Role>;

const char* name_of(Role role);
std::optional<Role> role_named(std::string_view name);

}  // namespace ems_bridge
