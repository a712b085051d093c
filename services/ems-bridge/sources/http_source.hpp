#pragma once

#include <memory>
#include <string_view>

#include "ems-bridge/program.hpp"
#include "ems-bridge/source.hpp"

namespace ems_bridge {

/// Asks what an HttpProgram says and maps the answers.
MakeSource make_http_source(HttpProgram program, mapping::Mapping mapping);

/// What the status of an answer means for trying again; returns when it is 200. `place` names the server and path.
void check_status(const http::Response& response, const std::string& place);

/// The URL without query and credentials, for messages.
std::string place_of(const std::string& url);

/// One answer as a document: JSON, or a JSON string when the query expects text. Throws SourceError when the body
/// is no JSON or says that something is wrong.
nlohmann::json read_document(const HttpQuery& query, std::string_view body);

}  // namespace ems_bridge
