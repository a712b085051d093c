#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

int main(int argc, char** argv) {
    spdlog::set_level(spdlog::level::off);  // tests assert on behaviour; what is logged would only hide failures
    return doctest::Context(argc, argv).run();
}
