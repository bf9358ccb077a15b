// The health of the farm: what the brokers say, and what this computer alone can see.
#include "console/cmd.h"
#include "console/doctor.h"
#include "console/output.h"
#include "base/rmt_auto.h"

#include <string.h>

static const char *const s_service_columns[] = {"service", "peers", "slots", "queued",
                                                NULL};

static const char *const s_finding_columns[] = {"level", "check", "text", "next", NULL};

static size_t
s_count(const rmt_records_t *findings, const char *level)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(findings); i++)
        count += rmt_record_is(rmt_records_at(findings, i), "level", level);
    return count;
}

// Findings of one level, behind those that are there.
static void
s_append(rmt_records_t *to, const rmt_records_t *findings, const char *level)
{
    for (size_t i = 0; i < rmt_records_count(findings); i++) {
        rmt_record_t *finding = rmt_record_dup(rmt_records_at(findings, i));
        if (rmt_record_is(finding, "level", level))
            rmt_records_append(to, &finding);
        rmt_record_destroy(&finding);
    }
}

static int
s_doctor(call_t *call, rmt_error_t *error)
{
    rmt_auto(doctor) doctor = doctor_new();
    if (doctor_ask(doctor, call, error) == -1)
        return -1;
    rmt_auto(rmt_records) findings = rmt_records_new();
    static const char *const levels[] = {"wrong", "note"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        s_append(findings, doctor->own, levels[i]);
        s_append(findings, doctor->told, levels[i]);
    }
    const size_t wrong = s_count(findings, "wrong");
    rmt_record_set_u64(doctor->status, "wrong", wrong);
    rmt_record_set_u64(doctor->status, "notes", s_count(findings, "note"));
    const output_section_t sections[] = {
        {"services", doctor->services, s_service_columns},
        {"findings", findings, s_finding_columns},
    };
    output_sections(doctor->status, sections, sizeof sections / sizeof *sections,
                    &call->view);
    return wrong > 0 ? 1 : 0;
}

const command_t cmd_doctor[] = {
    {"doctor", "", "", 0, 0,
     "Judge the farm: what is wrong, and what to do. Exit status 1 when something is "
     "wrong.",
     s_doctor, NULL, NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
