/* Contact sheets; see sheet.h. Pictures come from a loader, so that they are what training gets, and turn
 * back into bytes by undoing the normalization. */
#include "train/sheet.h"

#include "data/png.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 6, LETTER_HEIGHT = 8, LETTER_WIDTH = 6, CELL = 96, LONGEST_NAME = 18 };

/* The printable ASCII characters in a matrix of 5 x 7 dots: columns, the lowest bit on top. */
static const uint8_t font[95][5] = {
    {0, 0, 0, 0, 0},        {0, 0, 0x5f, 0, 0},       {0, 7, 0, 7, 0},        {20, 0x7f, 20, 0x7f, 20},
    {36, 42, 0x7f, 42, 18}, {35, 19, 8, 100, 98},     {54, 73, 86, 32, 80},   {0, 8, 7, 3, 0},
    {0, 28, 34, 65, 0},     {0, 65, 34, 28, 0},       {42, 28, 0x7f, 28, 42}, {8, 8, 62, 8, 8},
    {0, 128, 112, 48, 0},   {8, 8, 8, 8, 8},          {0, 0, 96, 96, 0},      {32, 16, 8, 4, 2},
    {62, 81, 73, 69, 62},   {0, 66, 0x7f, 64, 0},     {114, 73, 73, 73, 70},  {33, 65, 73, 77, 51},
    {24, 20, 18, 0x7f, 16}, {39, 69, 69, 69, 57},     {60, 74, 73, 73, 49},   {65, 33, 17, 9, 7},
    {54, 73, 73, 73, 54},   {70, 73, 73, 41, 30},     {0, 0, 20, 0, 0},       {0, 64, 52, 0, 0},
    {0, 8, 20, 34, 65},     {20, 20, 20, 20, 20},     {0, 65, 34, 20, 8},     {2, 1, 89, 9, 6},
    {62, 65, 93, 89, 78},   {124, 18, 17, 18, 124},   {0x7f, 73, 73, 73, 54}, {62, 65, 65, 65, 34},
    {0x7f, 65, 65, 65, 62}, {0x7f, 73, 73, 73, 65},   {0x7f, 9, 9, 9, 1},     {62, 65, 65, 81, 115},
    {0x7f, 8, 8, 8, 0x7f},  {0, 65, 0x7f, 65, 0},     {32, 64, 65, 63, 1},    {0x7f, 8, 20, 34, 65},
    {0x7f, 64, 64, 64, 64}, {0x7f, 2, 28, 2, 0x7f},   {0x7f, 4, 8, 16, 0x7f}, {62, 65, 65, 65, 62},
    {0x7f, 9, 9, 9, 6},     {62, 65, 81, 33, 94},     {0x7f, 9, 25, 41, 70},  {38, 73, 73, 73, 50},
    {3, 1, 0x7f, 1, 3},     {63, 64, 64, 64, 63},     {31, 32, 64, 32, 31},   {63, 64, 56, 64, 63},
    {99, 20, 8, 20, 99},    {3, 4, 120, 4, 3},        {97, 89, 73, 77, 67},   {0, 0x7f, 65, 65, 65},
    {2, 4, 8, 16, 32},      {0, 65, 65, 65, 0x7f},    {4, 2, 1, 2, 4},        {64, 64, 64, 64, 64},
    {0, 3, 7, 8, 0},        {32, 84, 84, 120, 64},    {0x7f, 40, 68, 68, 56}, {56, 68, 68, 68, 40},
    {56, 68, 68, 40, 0x7f}, {56, 84, 84, 84, 24},     {0, 8, 126, 9, 2},      {24, 164, 164, 156, 120},
    {0x7f, 8, 4, 4, 120},   {0, 68, 125, 64, 0},      {32, 64, 64, 61, 0},    {0x7f, 16, 40, 68, 0},
    {0, 65, 0x7f, 64, 0},   {124, 4, 120, 4, 120},    {124, 8, 4, 4, 120},    {56, 68, 68, 68, 56},
    {252, 24, 36, 36, 24},  {24, 36, 36, 24, 252},    {124, 8, 4, 4, 8},      {72, 84, 84, 84, 36},
    {4, 4, 63, 68, 36},     {60, 64, 64, 32, 124},    {28, 32, 64, 32, 28},   {60, 64, 48, 64, 60},
    {68, 40, 16, 40, 68},   {76, 144, 144, 144, 124}, {68, 100, 84, 76, 68},  {0, 8, 54, 65, 0},
    {0, 0, 119, 0, 0},      {0, 65, 54, 8, 0},        {2, 1, 2, 4, 2},
};

struct canvas {
    int height, width;
    uint8_t *pixels; /* height x width x 3 */
};

/* What lies beyond the canvas is not drawn. */
static void put(struct canvas *canvas, int y, int x, const uint8_t color[3])
{
    if (y >= 0 && y < canvas->height && x >= 0 && x < canvas->width)
        memcpy(canvas->pixels + 3 * ((size_t)y * (size_t)canvas->width + (size_t)x), color, 3);
}

static void write_text(struct canvas *canvas, int top, int left, int scale, const char *text)
{
    static const uint8_t black[3] = {0};
    for (; *text; text++, left += LETTER_WIDTH * scale) {
        const uint8_t *columns = font[*text >= ' ' && *text <= '~' ? *text - ' ' : '?' - ' '];
        for (int y = 0; y < LETTER_HEIGHT * scale; y++)
            for (int x = 0; x < 5 * scale; x++)
                if (columns[x / scale] >> (y / scale) & 1)
                    put(canvas, top + y, left + x, black);
    }
}

/* How large a cell is and how it samples an image: `scale` pixels for each, or every `step`-th of a large
 * one. */
struct cells {
    int scale, step, height, width, text;
    int left, top; /* of the first */
};

static struct cells lay_out(const struct data_info *info, int name_length)
{
    int side = info->height > info->width ? info->height : info->width;
    struct cells cells = {.scale = side < CELL ? CELL / side : 1,
                          .step = (side + 2 * CELL - 1) / (2 * CELL)};
    cells.height = (info->height + cells.step - 1) / cells.step * cells.scale;
    cells.width = (info->width + cells.step - 1) / cells.step * cells.scale;
    cells.text = cells.width >= 14 * LETTER_WIDTH ? 2 : 1;
    cells.left = 2 * GAP + name_length * LETTER_WIDTH * cells.text;
    cells.top = 3 * GAP + 2 * LETTER_HEIGHT * cells.text;
    return cells;
}

static int cell_top(const struct cells *cells, int row)
{
    return cells->top + row * (cells->height + GAP);
}

static int cell_left(const struct cells *cells, int column)
{
    return cells->left + column * (cells->width + GAP);
}

static void draw_image(struct canvas *canvas, const struct cells *cells, int row, int column,
                       const struct data_info *info, const float *x)
{
    for (int i = 0; i < cells->height; i++) {
        for (int j = 0; j < cells->width; j++) {
            const float *pixel = x + ((size_t)(i / cells->scale * cells->step) * (size_t)info->width +
                                      (size_t)(j / cells->scale * cells->step)) *
                                         (size_t)info->channels;
            uint8_t color[3];
            for (int k = 0; k < 3; k++) {
                int c = info->channels >= 3 ? k : 0; /* a second or fourth channel is opacity */
                float deviation = info->deviation[c] > 0 ? info->deviation[c] : 1;
                color[k] = (uint8_t)lroundf(255 * fminf(1, fmaxf(0, pixel[c] * deviation + info->mean[c])));
            }
            put(canvas, cell_top(cells, row) + i, cell_left(cells, column) + j, color);
        }
    }
}

/* samples[row * SHEET_COLUMNS + k]: the k-th training image of the row's class, -1 where there is none. */
static void choose(const struct data_view *view, int rows, int64_t *samples)
{
    int found[SHEET_ROWS] = {0};
    for (int i = 0; i < rows * SHEET_COLUMNS; i++)
        samples[i] = -1;
    for (int64_t i = 0; i < data_view_count(view); i++) {
        int32_t label = data_view_label(view, i);
        if (label < rows && found[label] < SHEET_COLUMNS)
            samples[label * SHEET_COLUMNS + found[label]++] = i;
    }
}

struct drawing {
    const struct sheet *sheet;
    const struct data_info *info;
    struct data_view *view; /* the training part */
    int rows;
    int64_t *samples; /* see choose */
    struct cells cells;
    struct canvas canvas;
};

/* The k-th image of each class that has one, as the options and the epoch make it. */
static enum descent_status draw_column(struct drawing *drawing, int column, int k,
                                       const struct data_loader_options *options, int64_t epoch)
{
    int64_t chosen[SHEET_ROWS];
    int row_of[SHEET_ROWS], count = 0;
    for (int row = 0; row < drawing->rows; row++)
        if (drawing->samples[row * SHEET_COLUMNS + k] >= 0) {
            row_of[count] = row;
            chosen[count++] = drawing->samples[row * SHEET_COLUMNS + k];
        }
    if (count == 0)
        return DESCENT_OK;
    struct data_view *part = data_view_select(drawing->view, chosen, count);
    struct data_loader *loader = part ? data_loader_new(part, options) : NULL;
    enum descent_status status = loader ? DESCENT_OK : DESCENT_BAD_ARGUMENT;
    if (loader)
        data_loader_start(loader, epoch);
    for (int i = 0; i < count && status == DESCENT_OK; i++) {
        struct data_batch batch;
        if (data_loader_next(loader, &batch) == 1)
            draw_image(&drawing->canvas, &drawing->cells, row_of[i], column, drawing->info, batch.x);
        else
            status = DESCENT_IO_ERROR;
    }
    data_loader_free(loader);
    data_view_free(part);
    return status;
}

static enum descent_status draw(struct drawing *drawing)
{
    const struct cells *cells = &drawing->cells;
    const char *augment = drawing->sheet->augment;
    struct data_loader_options options = {.batch = 1, .seed = drawing->sheet->seed};
    enum descent_status status = DESCENT_OK;
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", drawing->info->name, augment ? ": " : "", augment ? augment : "");
    write_text(&drawing->canvas, GAP, GAP, cells->text, text);
    for (int row = 0; row < drawing->rows; row++) {
        snprintf(text, sizeof text, "%.*s", LONGEST_NAME, drawing->info->class_names[row]);
        int top = cell_top(cells, row) + (cells->height - LETTER_HEIGHT * cells->text) / 2;
        write_text(&drawing->canvas, top, GAP, cells->text, text);
    }
    for (int column = 0; column < SHEET_COLUMNS && status == DESCENT_OK; column++) {
        bool augmented = augment && column > 0;
        snprintf(text, sizeof text, augmented ? "epoch %d" : "image %d", augmented ? column : column + 1);
        write_text(&drawing->canvas, 2 * GAP + LETTER_HEIGHT * cells->text, cell_left(cells, column),
                   cells->text, text);
        options.augment = augmented ? augment : NULL;
        status = draw_column(drawing, column, augment ? 0 : column, &options, augmented ? column - 1 : 0);
    }
    return status;
}

static int longest_name(const struct data_info *info, int rows)
{
    int longest = 0;
    for (int row = 0; row < rows; row++) {
        int length = (int)strnlen(info->class_names[row], LONGEST_NAME);
        longest = length > longest ? length : longest;
    }
    return longest;
}

enum descent_status sheet_write(const struct data_set *set, const struct sheet *sheet)
{
    const struct data_info *info = data_describe(set);
    struct drawing drawing = {.sheet = sheet, .info = info, .view = data_view_train(set)};
    struct canvas *canvas = &drawing.canvas;
    drawing.rows = info->classes < SHEET_ROWS ? info->classes : SHEET_ROWS;
    drawing.cells = lay_out(info, longest_name(info, drawing.rows));
    canvas->height = cell_top(&drawing.cells, drawing.rows);
    canvas->width = cell_left(&drawing.cells, SHEET_COLUMNS);
    size_t bytes = 3 * (size_t)canvas->height * (size_t)canvas->width;
    canvas->pixels = malloc(bytes);
    drawing.samples = malloc((size_t)drawing.rows * SHEET_COLUMNS * sizeof *drawing.samples);
    enum descent_status status = DESCENT_OUT_OF_MEMORY;
    if (canvas->pixels && drawing.samples && drawing.view) {
        memset(canvas->pixels, 0xff, bytes);
        choose(drawing.view, drawing.rows, drawing.samples);
        status = draw(&drawing);
    } else {
        descent_fail(status, "%s: no memory for a picture", sheet->path);
    }
    if (status == DESCENT_OK)
        status = data_write_png(sheet->path, canvas->pixels, canvas->height, canvas->width);
    data_view_free(drawing.view);
    free(drawing.samples);
    free(canvas->pixels);
    return status;
}
