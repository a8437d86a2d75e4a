"""Words that a description may keep: anatomy, technique and the like; none that is common as a name of people."""

from __future__ import annotations

from typing import Final

_WORDS: Final = """
abdomen abdominal abd acetabulum achilles acromioclavicular adrenal ankle antebrachium anterior antrum anus aorta
aortic apex apical appendix arch arm arteries artery arterial articular atlas atrium auditory axial axilla axillary
axis back bilateral biliary bladder body bone bones bowel brachial brain brainstem breast breasts bronchi bronchus
calcaneus calf canal cardiac carotid carpal cava cavity cecum celiac cerebellum cerebral cerebrum cervical cervix
chest clavicle coccyx colon coronary cranial cranium cubital diaphragm digestive disc distal dorsal duct duodenum ear
elbow epigastric esophagus ethmoid extremities extremity eye eyes face facial femoral femur fetal fetus fibula finger
fingers foot forearm forefoot frontal gallbladder gastric gluteal groin hand hands head heart heel hemithorax hepatic
hilum hindfoot hip hips humerus iliac ilium inferior inguinal intestine intracranial ischium jaw jejunum joint joints
jugular kidney kidneys knee knees lacrimal larynx lateral left leg legs lens limb liver lower lumbar lumbosacral lung
lungs lymph mandible mastoid maxilla maxillary medial mediastinum metacarpal metatarsal midfoot mouth muscle nasal
nasopharynx neck nerve node nodes nose oblique occipital odontoid optic oral orbit orbits oropharynx ovary palate palm
pancreas parotid patella pelvic pelvis perineum peripheral phalanges pharynx pituitary placenta popliteal portal
posterior prostate proximal pubis pulmonary radius rectum renal rib ribs right sacral sacroiliac sacrum scalp scaphoid
scapula sella shoulder shoulders sinus sinuses skeletal skull soft spinal spine spleen splenic sternoclavicular
sternum stomach subclavian submandibular superior tarsal temporal temporomandibular testis thigh thoracic
thoracolumbar thorax thumb thymus thyroid tibia tissue toe toes tongue trachea tract trunk ulna umbilical upper ureter
urethra urinary uterus vagina vascular vein veins venous ventral ventricle vertebra vertebral vessel vessels vulva
whole wrist wrists

acquisition adc add adult algorithm angio angiogram angiography ap arthrogram arthrography attenuation average axl b0
b1000 barium baseline biopsy blood bolus bottom breath calcium cc cine clear colonography cor coronal correction
corrected cr cranio craniocaudal cube ct cta ctac curved cystogram decubitus delayed density derived detail diagnostic
diffusion digital dixon doppler dose drain drainage dual dwi dx dynamic early echo ecg elastography emission end
endoscopy enhanced epi erect expiration exposure external fa fast fat fatsat fdg fiesta field filter fine first flair
flash flow fluoro fluoroscopy fov frame fs fse full fusion gad gadolinium gated gradient gre guided guidance haste
high hr hrct image images imaging in inhale injection inspiration internal intravenous inversion iodine ir iso
isotropic iv kernel late lat limited localiser localizer long loop loss low magnitude mammo mammogram mammography map
mask max mean medium min minimum mip mixed mlo mode motion mpr mprage mr mra mri mrcp mrv multi multiphase multiplanar
native neutral noncontrast nondiagnostic normal nuclear opposed out outer overview pa parallel partial pd perfusion
pet phase phantom pilot plain plane planning plus portable post postcontrast postop pre precontrast preop projection
proton protocol prone quick radial radiograph radiography range rapid raw recon reconstruction reference reformat
regional registration rest resting rf rotation routine row sagittal sag sat scan scanogram scout screening
scintigraphy se second sense sequence series short shot sided single slab slice slices smooth spect spectroscopy spgr
spin spiral spoiled standard standing stereo stereotactic stir stress study subtracted subtraction supine supplement
survey swi swallow t1w t2w tagged thick thickness thin third time tof tomo tomography tomosynthesis topogram top tra
trace tracking trans transverse tse turbo ultrasound un unenhanced unilateral upright urogram urography us vibe view
views volume volumetric water weighted weight weightbearing wide window wo with without xa xr xray zoom and at by for
from of on or per the to w iodixanol iohexol iomeprol iopamidol iopromide ioversol gadobutrol gadoterate gadoteridol
gadoxetate gadopentetate saline air oxygen glucose tc99m f18 ga68 isovue omnipaque
ultravist visipaque iomeron imeron xenetix optiray gadovist dotarem magnevist prohance primovist multihance omniscan
gastrografin
"""

WORDS: Final = frozenset(_WORDS.split())
