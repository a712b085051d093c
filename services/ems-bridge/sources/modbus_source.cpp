#include "ems-bridge/sources/modbus_source.hpp"

#include <fmt/format.h>

namespace ems_bridge {

namespace {

class ModbusSource final : public Source {
public:
    ModbusSource(std::unique_ptr<ModbusClient> client, std::shared_ptr<const ModbusProgram> program,
                 std::shared_ptr<const mapping::Mapping> mapping)
        : client_(std::move(client)), program_(std::move(program)), mapping_(std::move(mapping)) {}

    Reading read() override {
        mapping::Answer answer;
        if (program_->walks_sunspec) {
            read_models(answer);
        }
        for (const auto& range : program_->ranges) {
            read_range(answer.registers, range);
        }
        try {
            return mapping::apply(*mapping_, answer);
        } catch (const mapping::MappingError& error) {
            throw SourceError(ErrorKind::malformed, fmt::format("Modbus {}:{} unit {}: {}", program_->endpoint.host,
                                                                program_->endpoint.port, program_->unit, error.what()));
        }
    }

private:
    // What all values can do without may be absent from a device; one such block must not spoil the rest.
    void read_range(RegisterImage& image, const mapping::RegisterRange& range) {
        try {
            read_into(image, *client_, program_->input_registers, program_->unit, range.address, range.count);
        } catch (const ModbusException&) {
            if (range.is_required) {
                throw;
            }
        }
    }

    void read_models(mapping::Answer& answer) {
        if (models_.empty()) {
            models_ = sunspec::walk(
                [this](int address, int count) { return client_->read_holding(program_->unit, address, count); },
                program_->sunspec_base);
        }
        answer.models = models_;
        for (const auto& rule : mapping_->rules) {
            read_models_of(rule.expression, answer);
        }
    }

    void read_models_of(const mapping::Expression& expression, mapping::Answer& answer) {
        const auto* const model = expression.kind == mapping::Expression::Kind::sunspec
                                      ? sunspec::find(models_, {expression.point.model})
                                      : nullptr;
        if (model != nullptr && !answer.registers.word(model->address)) {
            read_into(answer.registers, *client_, false, program_->unit, model->address, model->length + 2);
        }
        for (const auto& item : expression.items) {
            read_models_of(item, answer);
        }
    }

    std::unique_ptr<ModbusClient> client_;
    std::shared_ptr<const ModbusProgram> program_;
    std::shared_ptr<const mapping::Mapping> mapping_;
    std::vector<sunspec::Model> models_;
};

}  // namespace

MakeSource make_modbus_source(ModbusProgram program, mapping::Mapping mapping) {
    return [program = std::make_shared<const ModbusProgram>(std::move(program)),
            mapping = std::make_shared<const mapping::Mapping>(std::move(mapping))](Io& io) -> std::unique_ptr<Source> {
        return std::make_unique<ModbusSource>(io.modbus.make_client(program->endpoint), program, mapping);
    };
}

}  // namespace ems_bridge
