// What hepatic adds to the viewer: a button that saves a label, and in MONAI Label's mode the tools that correct one.
import {saveLabel, withSlicesInOrder} from './labels.js';
import {connected, guard, watch} from './panel.js';

const SEGMENTATIONS = '@ohif/extension-cornerstone.panelModule.panelSegmentationWithTools';

const SAVE = {
  id: 'SaveLabel',
  uiType: 'ohif.radioGroup',
  props: {icon: 'icon-upload', label: 'Save label in hepatic', commands: 'saveLabel', evaluate: 'evaluate.action'},
};

/** A brush of OHIF's, as its mode Segmentation has it, with a radius that suits a lesion. */
function brush(id, icon, tools) {
  return {
    id,
    icon,
    label: id,
    evaluate: {name: 'evaluate.cornerstone.segmentation', toolNames: tools},
    options: [
      {
        id: `${id}-radius`,
        name: 'Radius (mm)',
        type: 'range',
        min: 0.5,
        max: 99.5,
        step: 0.5,
        value: 5,
        commands: {commandName: 'setBrushSize', commandOptions: {toolNames: tools}},
      },
      {
        id: `${id}-shape`,
        name: 'Shape',
        type: 'radio',
        value: tools[0],
        values: [{value: tools[0], label: 'Circle'}, {value: tools[1], label: 'Sphere'}],
        commands: 'setToolActiveToolbar',
      },
    ],
  };
}

const BRUSHES = {
  id: 'BrushTools',
  uiType: 'ohif.buttonGroup',
  props: {
    groupId: 'BrushTools',
    items: [
      brush('Brush', 'icon-tool-brush', ['CircularBrush', 'SphereBrush']),
      brush('Eraser', 'icon-tool-eraser', ['CircularEraser', 'SphereEraser']),
    ],
  },
};

const SCISSORS = ['CircleScissor', 'SphereScissor', 'RectangleScissor'];
const SHAPES = {
  id: 'Shapes',
  uiType: 'ohif.radioGroup',
  props: {
    label: 'Shapes',
    icon: 'icon-tool-shape',
    evaluate: {name: 'evaluate.cornerstone.segmentation', toolNames: SCISSORS},
    options: [
      {
        id: 'shape-mode',
        name: 'Shape',
        type: 'radio',
        value: SCISSORS[0],
        values: SCISSORS.map(value => ({value, label: value.replace('Scissor', '')})),
        commands: 'setToolActiveToolbar',
      },
    ],
  },
};

/** A mode of OHIF's as its module has it, with more buttons and more panels on the right. */
function extended(id, {buttons, panels = []}) {
  return {
    id,
    modeFactory: async ({modeConfiguration, loadModules}) => {
      const [{modeFactory}] = await loadModules([id]);
      const mode = modeFactory({modeConfiguration});
      return {
        ...mode,
        onModeEnter: context => {
          mode.onModeEnter(context);
          const {toolbarService} = context.servicesManager.services;
          toolbarService.addButtons(buttons);
          toolbarService.createButtonSection('primary', [SAVE.id]);
        },
        routes: mode.routes.map(route => ({
          ...route,
          layoutTemplate: context => {
            const {id: layout, props} = route.layoutTemplate(context);
            return {id: layout, props: {...props, rightPanels: [...props.rightPanels, ...panels]}};
          },
        })),
      };
    },
  };
}

export const monaiLabel = extended('@ohif/mode-monai-label', {
  buttons: [SAVE, BRUSHES, SHAPES], // those that its section of tools names and does not have
  panels: [SEGMENTATIONS],
});

export const segmentation = extended('@ohif/mode-segmentation', {buttons: [SAVE]});

export const extension = {
  id: 'hepatic',
  preRegistration: ({servicesManager}) => guard(servicesManager.services),
  onModeEnter: ({commandsManager, servicesManager}) => {
    watch();
    const save = ({segmentationId}) => saveLabel(servicesManager.services, segmentationId);
    commandsManager.createContext('HEPATIC'); // after all others: of commands of one name, the last is run
    commandsManager.registerCommand('HEPATIC', 'saveLabel', {commandFn: save});
    // What the panel of MONAI Label does when it connects: OHIF 3.10's own shows the segmentation of another series.
    const load = options => commandsManager.runCommand('loadSegmentationsForViewport', options, 'SEGMENTATION');
    commandsManager.registerCommand('HEPATIC', 'loadSegmentationsForViewport', {
      commandFn: options => connected(servicesManager.services, options, load),
    });
    // Export DICOM SEG in the menu of segmentations: OHIF 3.10's own does not know where to send, and fails.
    commandsManager.registerCommand('HEPATIC', 'storeSegmentation', {commandFn: save});
    // Download DICOM SEG: OHIF 3.10's own turns a series that is numbered from the feet upside down.
    const download = options => commandsManager.runCommand('downloadSegmentation', options, 'SEGMENTATION');
    commandsManager.registerCommand('HEPATIC', 'downloadSegmentation', {
      commandFn: options => withSlicesInOrder(options.segmentationId, () => download(options)),
    });
  },
};
