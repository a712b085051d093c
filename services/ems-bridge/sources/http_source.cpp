#include "ems-bridge/sources/http_source.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;

constexpr auto pause_after_refusal = 5min;  // an account must not be locked by trying again and again
constexpr auto pause_when_unsupported = 10min;
constexpr auto longest_retry_after = 1h;

std::chrono::milliseconds retry_after(const http::Response& response) {
    const auto text = http::header(response, "retry-after");
    int seconds = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), seconds).ec != std::errc{} || seconds < 1) {
        return pause_after_refusal;
    }
    return std::min<std::chrono::milliseconds>(std::chrono::seconds(seconds), longest_retry_after);
}

class HttpSource final : public Source {
public:
    HttpSource(std::unique_ptr<http::HttpClient> client, std::shared_ptr<const HttpProgram> program,
               std::shared_ptr<const mapping::Mapping> mapping)
        : client_(std::move(client)), program_(std::move(program)), mapping_(std::move(mapping)) {}

    Reading read() override {
        mapping::Answer answer;
        for (const auto& query : program_->queries) {
            const auto response = client_->send(query.request);
            check_status(response, place_of(query.request.url));
            answer.documents[query.document] = read_document(query, response.body);
        }
        try {
            return mapping::apply(*mapping_, answer);
        } catch (const mapping::MappingError& error) {
            throw SourceError(ErrorKind::malformed,
                              fmt::format("{}: {}", place_of(program_->queries.front().request.url), error.what()));
        }
    }

private:
    std::unique_ptr<http::HttpClient> client_;
    std::shared_ptr<const HttpProgram> program_;
    std::shared_ptr<const mapping::Mapping> mapping_;
};

}  // namespace

std::string place_of(const std::string& url) {
    std::string place = url.substr(0, url.find_first_of("?#"));
    const auto host = place.find("://");
    const auto begin = host == std::string::npos ? 0 : host + 3;
    const auto at = place.find('@', begin);
    if (at != std::string::npos && at < place.find('/', begin)) {
        place.erase(begin, at + 1 - begin);
    }
    return place;
}

void check_status(const http::Response& response, const std::string& place) {
    constexpr int ok = 200;
    constexpr int unauthorized = 401;
    constexpr int forbidden = 403;
    constexpr int not_found = 404;
    constexpr int too_many_requests = 429;
    switch (response.status) {
        case ok:
            return;
        case unauthorized:
        case forbidden:
            throw SourceError(ErrorKind::login,
                              fmt::format("{}: HTTP {}: check the credentials", place, response.status),
                              pause_after_refusal);
        case not_found:
            throw SourceError(ErrorKind::device, fmt::format("{}: HTTP 404: not offered by this device", place),
                              pause_when_unsupported);
        case too_many_requests:
            throw SourceError(ErrorKind::rate_limited, fmt::format("{}: HTTP 429: asked too often", place),
                              retry_after(response));
        default:
            throw SourceError(ErrorKind::device, fmt::format("{}: HTTP {}", place, response.status));
    }
}

nlohmann::json read_document(const HttpQuery& query, std::string_view body) {
    const std::string place = place_of(query.request.url);
    mapping::Answer answer;
    auto& document = answer.documents[query.document];
    if (query.is_json) {
        try {
            document = contract::parse_json(body);
        } catch (const contract::Invalid& error) {
            throw SourceError(ErrorKind::malformed, fmt::format("{}: {}", place, error.what()));
        }
    } else {
        document = std::string(body);
    }
    for (const auto& match : query.ok_when) {
        if (!mapping::matches(match, answer)) {
            const bool has_text = query.error_text && document.is_structured() && document.contains(*query.error_text);
            constexpr std::size_t longest = 100;
            const std::string said =
                has_text ? document.at(*query.error_text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)
                         : fmt::format("{} is not {}", match.pointer.to_string(), match.expected);
            throw SourceError(ErrorKind::device, fmt::format("{}: the device says {}", place, said.substr(0, longest)));
        }
    }
    return std::move(document);
}

MakeSource make_http_source(HttpProgram program, mapping::Mapping mapping) {
    return [program = std::make_shared<const HttpProgram>(std::move(program)),
            mapping = std::make_shared<const mapping::Mapping>(std::move(mapping))](Io& io) -> std::unique_ptr<Source> {
        return std::make_unique<HttpSource>(io.http.make_client(program->trust), program, mapping);
    };
}

}  // namespace ems_bridge
