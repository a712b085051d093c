#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "house-sim/site.hpp"
#include "http/http_client.hpp"

namespace house_sim {

http::Response json_response(int status, const nlohmann::json& body);

/// "/a/b" of "http://host:1/a/b?c" and of "/a/b?c".
std::string url_path(const std::string& url);
/// The decoded value of a query or form parameter; empty: not there.
std::string parameter(const std::string& form, const std::string& name);
std::string url_query(const std::string& url);
/// By lower-case name, whatever case the client used; empty: not there.
std::string request_header(const http::Request& request, const std::string& name);
/// Of `Authorization: Bearer …`; empty: none.
std::string bearer_token(const http::Request& request);

/// What a device with that fault says. The outer value is empty for a healthy device, the inner one for a silent one.
std::optional<std::optional<http::Response>> faulty_response(Fault fault);

}  // namespace house_sim
